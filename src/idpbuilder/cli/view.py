"""Which reporter a user gets, by flags and by what stderr is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from idpbuilder.cli.bars import BarsReport
from idpbuilder.cli.jsonlines import JsonReport
from idpbuilder.cli.report import Shown, TextReport
from idpbuilder.cli.screen import Screen
from idpbuilder.cli.streams import Stream
from idpbuilder.push.events import Note, Reporter, Warned
from idpbuilder.redact import Secrets

_TELEMETRY: Final = (
    "OTEL_TRACES_EXPORTER",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
)

Close = Callable[[], None]


@dataclass(frozen=True, slots=True)
class View:
    """What the flags say about output; `progress` and `output` are values of the flags' names."""

    quiet: bool = False
    verbose: bool = False
    progress: str = "auto"
    output: str = "text"


def reporter_for(
    view: View, out: Stream, err: Stream, environ: Mapping[str, str], secrets: Secrets
) -> tuple[Reporter, Close]:
    """The reporter, and what to call when the push is over.

    Bars need a terminal that can move its cursor. Where bars are wanted and there is none,
    `tty` and a terminal without cursor moves get the lines alone.
    """
    as_json = view.output == "json"
    lively = not view.quiet and view.progress in ("auto", "tty")
    lines = not view.quiet and (view.progress in ("plain", "tty") or (lively and err.is_terminal))
    shown = Shown(
        progress=lines,
        notes=view.verbose,
        warnings=not view.quiet,
        results=not as_json,
        digest_only=view.quiet and not as_json,
    )
    reporter: Reporter
    close: Close = _nothing
    if lively and err.is_terminal and environ.get("TERM", "dumb") != "dumb":
        screen = Screen(err)
        text = TextReport(out, screen, shown, secrets)
        colour = not environ.get("NO_COLOR")
        bars = BarsReport(screen, text, colour, results=not as_json)
        reporter, close = bars, bars.close
    else:
        reporter = TextReport(out, err, shown, secrets)
    if as_json:
        reporter = JsonReport(out, reporter, secrets)
    return _traced(reporter, close, environ, secrets)


def _traced(
    reporter: Reporter, close: Close, environ: Mapping[str, str], secrets: Secrets
) -> tuple[Reporter, Close]:
    """With OpenTelemetry's spans, where its variables ask for them and it is installed."""
    if not _wants_spans(environ):
        return reporter, close
    from importlib.util import find_spec

    if find_spec("opentelemetry") is None:
        # the variables may be there for other programs; what the import needs first is not small
        if reporter.wants_notes:
            reporter.emit(Note("OpenTelemetry: its variables are set, the extra `otel` is missing"))
        return reporter, close
    try:
        # first, for it logs while it is imported
        _silence()
        from idpbuilder.cli.spans import SpansReport, exporters_of

        exporters = exporters_of(environ)
        spans = SpansReport(reporter, exporters, environ, secrets) if exporters else None
    except Exception as error:
        text = f"OpenTelemetry: no spans are sent: {type(error).__name__}: {error}"
        reporter.emit(Warned(text))
        return reporter, close
    if spans is None:
        return reporter, close

    def both() -> None:
        spans.close()
        close()

    return spans, both


def _wants_spans(environ: Mapping[str, str]) -> bool:
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    if environ.get("OTEL_TRACES_EXPORTER", "").strip() == "none":
        return False
    return any(environ.get(name) for name in _TELEMETRY)


def _silence() -> None:
    """Keep what the SDK logs off stderr: it is told once, as a warning of ours."""
    import logging

    logger = logging.getLogger("opentelemetry")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False


def _nothing() -> None:
    pass
