"""Which reporter a user gets, by flags and by what stderr is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from idpbuilder.cli.bars import BarsReport
from idpbuilder.cli.jsonlines import JsonReport
from idpbuilder.cli.redact import Secrets
from idpbuilder.cli.report import Shown, TextReport
from idpbuilder.cli.screen import Screen
from idpbuilder.cli.streams import Stream
from idpbuilder.push.events import Reporter


@dataclass(frozen=True, slots=True)
class View:
    """What the flags say about output; `progress` and `output` are values of the flags' names."""

    quiet: bool = False
    verbose: bool = False
    progress: str = "auto"
    output: str = "text"


def reporter_for(
    view: View, out: Stream, err: Stream, environ: Mapping[str, str], secrets: Secrets
) -> tuple[Reporter, Callable[[], None]]:
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
    close: Callable[[], None] = _nothing
    if lively and err.is_terminal and environ.get("TERM", "dumb") != "dumb":
        screen = Screen(err)
        text = TextReport(out, screen, shown, secrets)
        colour = not environ.get("NO_COLOR")
        bars = BarsReport(screen, text, colour, results=not as_json)
        reporter, close = bars, bars.close
    else:
        reporter = TextReport(out, err, shown, secrets)
    return (JsonReport(out, reporter, secrets) if as_json else reporter), close


def _nothing() -> None:
    pass
