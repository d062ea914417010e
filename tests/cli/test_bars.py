"""The bars, as a terminal shows them."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Callable

import pytest

from idpbuilder.cli.bars import BarsReport, Pace, time_text
from idpbuilder.cli.report import Shown, TextReport
from idpbuilder.cli.screen import Screen
from idpbuilder.cli.streams import Stream
from idpbuilder.redact import Secrets
from tests.cli.conftest import ROOT
from tests.cli.fakes import LAST_LINE, SEED_LINES, at, events_of, result


class Terminal(Stream):
    """A terminal that knows what is drawn with here: cursor up, erase below, wrap off and on."""

    def __init__(self, columns: int = 80, height: int = 24) -> None:
        super().__init__(None)
        self._encoding = "utf-8"
        self.columns, self.height = columns, height
        self.rows: list[str] = [""]
        self.widest = 0
        self.colours = 0

    def columns_and_rows(self) -> tuple[int, int]:
        return self.columns, self.height

    def raw(self, text: str) -> None:
        while text:
            if text.startswith("\x1b["):
                end = next(place for place in range(2, len(text)) if text[place].isalpha())
                self._control(text[2:end], text[end])
                text = text[end + 1 :]
                continue
            if text[0] == "\n":
                self.rows.append("")
            elif text[0] != "\r":
                self.rows[-1] += text[0]
                self.widest = max(self.widest, len(self.rows[-1]))
            text = text[1:]

    def _control(self, number: str, kind: str) -> None:
        if kind == "A":
            assert int(number) < self.height
            del self.rows[len(self.rows) - int(number) :]
            self.rows[-1] = ""
        elif kind == "m":
            self.colours += 1
        else:
            assert (number, kind) in (("", "J"), ("?7", "l"), ("?7", "h"))

    def shown(self) -> list[str]:
        return self.rows[:-1]


Start = Callable[..., tuple[Terminal, BarsReport]]


@pytest.fixture
def start() -> Start:
    def begin(
        columns: int = 80, height: int = 24, colour: bool = False
    ) -> tuple[Terminal, BarsReport]:
        terminal = Terminal(columns, height)
        screen = Screen(terminal)
        lines = TextReport(Stream(None), screen, Shown(progress=True), Secrets())
        bars = BarsReport(screen, lines, colour)
        bars.emit(events_of(result())[0], 1)
        return terminal, bars

    return begin


def test_the_bars_tell_rate_and_time_left(start: Start) -> None:
    terminal, bars = start()
    bars.progress(at((0, 0, 0), 0.0))
    bars.progress(at((1_250_000, 0, 300_000), 1.0))
    assert terminal.shown() == [
        "Pushing image myimage:latest to registry.example.com/repo...",
        "Layer 1/3 [===============>              ]  50%  1.2 MB of 2.5 MB",
        "Layer 3/3 [=======>                      ]  25%  300.0 kB of 1.2 MB",
        "Total [==>                       ]   8%  1.6 MB of 19.0 MB  1.6 MB/s  0:11 left",
    ]


def test_a_layer_that_ended_leaves_its_line_and_no_bar(start: Start) -> None:
    terminal, bars = start()
    bars.progress(at((1_250_000, 0, 300_000), 1.0))
    bars.emit(events_of(result())[2], 1)
    bars.progress(at((2_500_000, 0, 300_000), 1.0))
    assert terminal.shown() == [
        *SEED_LINES.splitlines()[:2],
        "Layer 3/3 [=======>                      ]  25%  300.0 kB of 1.2 MB",
        "Total [====>                         ]  14%  2.8 MB of 19.0 MB",
    ]


def test_at_the_end_only_the_lines_are_left(start: Start) -> None:
    terminal, bars = start()
    for event in events_of(result())[1:]:
        bars.progress(at((100, 100, 100), 1.0))
        bars.emit(event, 1)
    bars.close()
    assert terminal.shown() == SEED_LINES.splitlines()


@pytest.mark.parametrize("columns", [1, 5, 20, 33, 50, 79, 200])
def test_no_bar_is_wider_than_the_terminal(start: Start, columns: int) -> None:
    terminal, bars = start(columns=columns)
    terminal.widest = 0
    bars.progress(at((0, 0, 0), 0.0))
    bars.progress(at((1_250_000, 1, 300_000), 1.0))
    assert 0 < terminal.widest < max(columns, 2)


@pytest.mark.parametrize("height", [2, 3, 4])
def test_there_are_no_more_bars_than_the_terminal_has_rows(start: Start, height: int) -> None:
    terminal, bars = start(height=height)
    bars.progress(at((1, 1, 1), 0.5))
    bars.progress(at((2, 2, 2), 1.0))
    assert len(terminal.shown()) == height
    assert terminal.shown()[-1].startswith("Total ")


def test_rows_that_a_narrower_terminal_has_broken_are_all_erased(start: Start) -> None:
    terminal, bars = start()
    bars.progress(at((1_250_000, 0, 0), 1.0))
    wide = terminal.rows.pop(-2), terminal.rows.pop(-2)
    terminal.columns = 40
    for row in reversed(wide):
        terminal.rows[-1:] = [row[:40], row[40:], ""]
    bars.progress(at((1_250_000, 0, 0), 2.0))
    assert terminal.shown()[0] == SEED_LINES.splitlines()[0]
    assert [row.split()[0] for row in terminal.shown()[1:]] == ["Layer", "Total"]


def test_colour_is_used_only_where_it_is_wanted(start: Start) -> None:
    for colour in (False, True):
        terminal, bars = start(colour=colour)
        bars.progress(at((1_250_000, 0, 300_000), 1.0))
        assert bool(terminal.colours) is colour


def test_the_rate_is_that_of_the_last_seconds() -> None:
    pace = Pace()
    assert pace.rate == 0
    for second in range(20):
        pace.add(second, 1000 * min(second, 10))
    assert pace.rate == 0
    pace.add(20, 20_000)
    assert pace.rate == pytest.approx(2000)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0:00"), (18, "0:18"), (725, "12:05"), (3723, "1:02:03"), (1e9, "more than a day")],
)
def test_times_are_told_as_on_a_clock(seconds: float, text: str) -> None:
    assert time_text(seconds) == text


def on_a_terminal(
    surroundings: dict[str, str], *arguments: str, columns: int = 80, **environ: str
) -> tuple[str, str]:
    """stdout, and what was written to a terminal on stderr."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.cli.fakes", "bars", "image", *arguments],
        env=surroundings | {"TERM": "xterm"} | environ, cwd=ROOT,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    drawn = b""
    with process, os.fdopen(ours, "rb", buffering=0) as terminal:
        try:
            while data := terminal.read(65536):
                drawn += data
        except OSError:  # the other side is closed
            pass
        assert process.stdout is not None
        out = process.stdout.read().decode()
    assert process.returncode == 0
    return out, drawn.decode().replace("\r\n", "\n")


def test_on_a_terminal_the_bars_come_and_the_lines_stay(surroundings: dict[str, str]) -> None:
    out, drawn = on_a_terminal(surroundings)
    assert out == LAST_LINE
    assert "Total [" in drawn
    assert "\x1b[32m" in drawn
    terminal = Terminal()
    terminal.raw(drawn)
    assert terminal.shown() == SEED_LINES.splitlines()


def test_no_color_takes_the_colour_and_not_the_bars(surroundings: dict[str, str]) -> None:
    _, drawn = on_a_terminal(surroundings, NO_COLOR="1")
    assert "Total [" in drawn
    assert "\x1b[32m" not in drawn


def test_a_dumb_terminal_gets_the_lines_alone(surroundings: dict[str, str]) -> None:
    assert on_a_terminal(surroundings, TERM="dumb") == (LAST_LINE, SEED_LINES)


@pytest.mark.parametrize("arguments", [("--quiet",), ("--progress", "none")])
def test_no_progress_is_no_progress_on_a_terminal_too(
    surroundings: dict[str, str], arguments: tuple[str, ...]
) -> None:
    assert on_a_terminal(surroundings, *arguments)[1] == ""


def test_plain_progress_draws_no_bars_on_a_terminal(surroundings: dict[str, str]) -> None:
    assert on_a_terminal(surroundings, "--progress", "plain")[1] == SEED_LINES
