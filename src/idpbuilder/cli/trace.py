"""`--trace`: where the time of a push went, as trace events in JSON or as a page that draws them.

The events are those of the Trace Event Format, in its form of an array, which Perfetto and
chrome://tracing read without its closing bracket too: each is written as it comes, so that a run
that is killed leaves what there was until then. The page holds the same lines.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from typing import Final

from idpbuilder import __version__
from idpbuilder.cli.digestfile import reason, unwritable
from idpbuilder.errors import BadValue, LocalError
from idpbuilder.push.trace import Group, Span, Trace, Track, Value
from idpbuilder.redact import Secrets
from idpbuilder.registry.failure import printable

_PAGE: Final = ".html"
_MARK: Final = "<!-- events -->"
_PROCESS: Final = {group: number for number, group in enumerate(Group, 1)}
_BEGINNING: Final = 1024
_SIGNS: Final = (b'[\n{"name": "idpbuilder-push ', b"<title>Trace of a push</title>")
"""What one of them stands in the first bytes of every trace."""
_ROWS: Final = 1000
"""Rows of a track, beyond which they no longer stand beside it."""


def trace_path(text: str) -> str:
    """The path itself. Raises BadValue for one that does not look like a trace: it would replace
    what is there, and `--trace IMAGE` is soon typed.
    """
    if not text.endswith((".json", _PAGE)):
        raise BadValue(
            "its name ends in neither `.json` nor `.html`",
            "name a file for events, as `trace.json`, or for a page, as `trace.html`",
        )
    return text


class TraceFile:
    """Writes what `trace` hands on to the file at `path`, from now on until `close`.

    Texts are shown without `secrets`. Raises UsageError where the file cannot be written.
    """

    def __init__(self, path: str, secrets: Secrets) -> None:
        self._path = path
        self._secrets = secrets
        self._error: OSError | None = None
        self._tracks: dict[Track, int] = {}
        self._threads: dict[tuple[Track, int], int] = {}
        self._processes: set[Group] = set()
        self._last = 0.0
        is_page = path.endswith(_PAGE)
        head, self._tail = _page() if is_page else ("[\n", "\n]\n")
        self._between = "\n" if is_page else ",\n"
        try:
            _spare_others(path)
            self._file = open(path, "w", encoding="utf-8")  # noqa: SIM115
        except (OSError, ValueError) as error:
            raise unwritable(path, error, "choose another path for `--trace`") from error
        self.trace = Trace(self._take)
        began = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self._write(head + _text(_mark(f"idpbuilder-push {__version__}", 0, {"began": began})))

    def close(self) -> None:
        """Write what has not ended, and the end. May be called twice. Raises LocalError."""
        if self._file.closed:
            return
        self.trace.close()
        if self.trace.dropped:
            told = {"left out": self.trace.dropped}
            self._write(self._between + _text(_mark("too many spans", _micro(self._last), told)))
        self._write(self._tail)
        try:
            self._file.close()
        except OSError as error:
            self._error = self._error or error
        if self._error is not None:
            raise LocalError(
                f"`{self._path}` cannot be written",
                reason(self._error),
                "the push itself is over, and what it came to was told",
            ) from self._error

    # -- called by the trace, by one thread at a time

    def _take(self, span: Span) -> None:
        self._last = span.end
        self._write("".join(self._between + _text(event) for event in self._events(span)))

    def _events(self, span: Span) -> Iterator[dict[str, object]]:
        thread = self._threads.get((span.track, span.row))
        if thread is None:
            yield from self._introduced(span.track, span.row)
            thread = self._threads[span.track, span.row]
        group = span.track.group
        place: dict[str, object] = {"pid": _PROCESS[group], "tid": thread}
        name = self._shown(span.name)
        told = {key: self._shown(value) for key, value in span.arguments.items()}
        yield _lasting(name, group.name.lower(), span.start, span.end, place, told)
        for phase in span.phases:
            yield _lasting(phase.name, "phase", phase.start, phase.end, place, {})

    def _introduced(self, track: Track, row: int) -> Iterator[dict[str, object]]:
        """Say what a row that was not there before is called, and where it stands."""
        process, thread = _PROCESS[track.group], len(self._threads) + 1
        self._threads[track, row] = thread
        if track.group not in self._processes:
            self._processes.add(track.group)
            yield _named("process_name", process, 0, {"name": track.group.value})
            yield _named("process_sort_index", process, 0, {"sort_index": process})
        number = self._tracks.setdefault(track, len(self._tracks))
        name = f"{track.name} ({row + 1})" if row else track.name
        yield _named("thread_name", process, thread, {"name": self._shown(name)})
        index = number * _ROWS + min(row, _ROWS - 1)
        yield _named("thread_sort_index", process, thread, {"sort_index": index})

    def _shown(self, value: Value) -> Value:
        return printable(self._secrets.hide(value)) if isinstance(value, str) else value

    def _write(self, text: str) -> None:
        # whatever becomes of the file, the push goes on
        if self._error is None and not self._file.closed:
            try:
                self._file.write(text)
                self._file.flush()
            except OSError as error:
                self._error = error


def _spare_others(path: str) -> None:
    """Raise ValueError where another thing than a trace would be replaced, as a layout's index."""
    if os.path.isfile(path) and os.path.getsize(path):
        with open(path, "rb") as file:
            beginning = file.read(_BEGINNING)
        if not any(sign in beginning for sign in _SIGNS):
            raise ValueError("it is there, and no trace")


def _page() -> tuple[str, str]:
    """What stands before and behind the events."""
    from importlib.resources import files

    text = files("idpbuilder.cli").joinpath("trace.html").read_text(encoding="utf-8")
    head, _, tail = text.partition(_MARK)
    return head, "\n" + tail


def _text(event: dict[str, object]) -> str:
    # a page must not take a text for its own markup
    return json.dumps(event).replace("<", "\\u003c")


def _lasting(
    name: Value,
    category: str,
    start: float,
    end: float,
    place: dict[str, object],
    told: object,
) -> dict[str, object]:
    # both ends are rounded alike, so that what lies in another one still does
    began = _micro(start)
    times = {"ph": "X", "ts": began, "dur": _micro(end) - began}
    return {"name": name, "cat": category, **times, **place, "args": told}


def _named(what: str, process: int, thread: int, told: object) -> dict[str, object]:
    return {"name": what, "ph": "M", "ts": 0, "pid": process, "tid": thread, "args": told}


def _mark(name: str, moment: int, told: object) -> dict[str, object]:
    place = {"ph": "i", "s": "g", "ts": moment, "pid": _PROCESS[Group.IMAGES], "tid": 0}
    return {"name": name, **place, "args": told}


def _micro(seconds: float) -> int:
    return round(seconds * 1_000_000)
