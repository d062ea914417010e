"""Several pushes at once, as a person reads them."""

from __future__ import annotations

import io

import pytest

from idpbuilder.cli.bars import BarsReport
from idpbuilder.cli.report import Shown, TextReport
from idpbuilder.cli.screen import Screen
from idpbuilder.cli.streams import Stream
from idpbuilder.errors import PushError, Unreachable
from idpbuilder.image import Reference
from idpbuilder.push.events import (
    LayerEnded,
    ManifestEnded,
    Note,
    Progress,
    PushStarted,
    RunEnded,
    RunStarted,
    Standing,
)
from idpbuilder.push.result import BlobStatus, PushFailure, PushResult
from idpbuilder.redact import Secrets
from tests.cli.fakes import PUSHED, SIZES, layers, result
from tests.cli.test_bars import Terminal

ONE = Reference.parse("r.example.com/team/one:v1")
TWO = Reference.parse("r.example.com/team/two:v1")
DOWN = Unreachable("cannot connect to r.example.com", "refused", "start it")


class Told:
    """A text report, and what it wrote."""

    def __init__(self, shown: Shown) -> None:
        self.out, self.err = io.StringIO(), io.StringIO()
        streams = Stream(self.out), Stream(self.err)
        for stream in streams:
            stream._encoding = "utf-8"
        self.report = TextReport(*streams, shown, Secrets())
        self.report.emit(RunStarted(2))
        self.report.emit(PushStarted("./one", ONE, SIZES), 1)
        self.report.emit(PushStarted("./two", TWO, SIZES), 2)

    @property
    def lines(self) -> list[str]:
        return self.err.getvalue().splitlines()


@pytest.fixture
def told() -> Told:
    return Told(Shown(progress=True))


def test_the_lines_of_each_come_together_when_it_is_over(told: Told) -> None:
    told.report.emit(LayerEnded(1, 3, PUSHED[0]), 2)
    told.report.emit(LayerEnded(2, 3, PUSHED[1]), 1)
    told.report.emit(ManifestEnded(BlobStatus.PUSHED), 2)
    assert told.lines == []
    told.report.emit(result(TWO), 2)
    assert told.lines == [
        "Pushing image ./two to r.example.com/team...",
        "✓ Layer 1/3 pushed (2.5 MB)",
        "✓ Manifest pushed successfully",
    ]
    assert told.out.getvalue() == "Image pushed: r.example.com/team/two:v1\n"


def test_a_failure_names_its_image_and_a_hint_comes_once(told: Told) -> None:
    for number, reference in ((1, ONE), (2, TWO)):
        told.report.emit(PushFailure("./image", reference, DOWN), number)
    text = "cannot connect to r.example.com: refused"
    assert told.lines == [
        "Pushing image ./one to r.example.com/team...",
        f"Error: `./image` to `{ONE}`: {text}",
        "",
        "hint: start it",
        "see: docs/user-guide/troubleshooting.md#connections",
        "Pushing image ./two to r.example.com/team...",
        f"Error: `./image` to `{TWO}`: {text}",
    ]


def test_notes_come_at_once_and_say_whose_they_are() -> None:
    told = Told(Shown(progress=True, notes=True))
    told.report.emit(Note("HEAD it: 200 in 0.001 s"), 2)
    told.report.emit(Note("of nobody"))
    assert told.lines == ["[2/2] HEAD it: 200 in 0.001 s", "of nobody"]


def ended(*outcomes: PushResult | PushFailure, left: int = 0) -> str:
    told = Told(Shown(progress=True))
    told.report.emit(RunEnded(outcomes, 1.25, left))
    return told.lines[-1]


def test_the_summary_counts_pushes_layers_bytes_and_what_was_not_tried() -> None:
    failure = PushFailure("./two", TWO, PushError("x"))
    assert ended(result(ONE), failure, left=3) == (
        "5 pushes: 1 pushed, 1 failed, 3 not tried; layers: 1 pushed, 1 mounted, 1 existed;"
        " 2.5 MB sent, 16.5 MB saved, 1.2 s"
    )


def test_the_summary_of_a_rehearsal_says_what_would_happen() -> None:
    planned = layers(BlobStatus.WOULD_PUSH, BlobStatus.EXISTS, BlobStatus.WOULD_MOUNT)
    assert (
        "2 pushes: 2 would be pushed; layers: 2 existed, 2 would be pushed, 2 would be mounted;"
        " 5.0 MB to send, 33.0 MB saved"
    ) in ended(result(ONE, planned, dry_run=True), result(TWO, planned, dry_run=True))


def begin(columns: int = 80, height: int = 24) -> tuple[Terminal, BarsReport]:
    terminal = Terminal(columns, height)
    screen = Screen(terminal)
    lines = TextReport(Stream(None), screen, Shown(progress=True), Secrets())
    bars = BarsReport(screen, lines, colour=False)
    bars.emit(RunStarted(3))
    bars.emit(PushStarted("./one", ONE, SIZES), 1)
    bars.emit(PushStarted("./two", TWO, SIZES), 2)
    return terminal, bars


def at(one: int, two: int, seconds: float) -> Progress:
    standing = {1: Standing((one, 0, 0)), 2: Standing((two, 0, 0))}
    return Progress(standing, seconds, one + two)


def test_on_a_terminal_the_images_that_move_have_bars_and_all_together_one() -> None:
    terminal, bars = begin()
    bars.progress(at(0, 0, 0.0))
    bars.progress(at(1_900_000, 0, 2.0))
    assert [" ".join(row.split()) for row in terminal.shown()] == [
        "team/one:v1 [==> ] 10% 1.9 MB of 19.0 MB",
        "Total [> ] 0/3 images 1.9 MB sent 950.0 kB/s 0:02",
    ]


def test_what_is_over_gives_its_lines_and_the_bars_of_the_others_stay() -> None:
    terminal, bars = begin()
    bars.progress(at(1_900_000, 950_000, 1.0))
    bars.emit(PushFailure("./one", ONE, DOWN), 1)
    bars.progress(at(0, 950_000, 1.0))
    assert [row.split(" [")[0].rstrip() for row in terminal.shown()] == [
        "Pushing image ./one to r.example.com/team...",
        f"Error: `./one` to `{ONE}`: cannot connect to r.example.com: refused",
        "",
        "hint: start it",
        "see: docs/user-guide/troubleshooting.md#connections",
        "team/two:v1",
        "Total",
    ]
    assert "1/3 images" in terminal.shown()[-1]
    assert terminal.shown()[-1].endswith("1 failed")
    bars.close()
    assert "team/two" not in terminal.shown()[-1]


@pytest.mark.parametrize("columns", [1, 10, 33, 60, 79, 200])
def test_no_row_is_wider_than_the_terminal(columns: int) -> None:
    terminal, bars = begin(columns)
    terminal.widest = 0
    bars.progress(at(1_900_000, 950_000, 1.0))
    assert 0 < terminal.widest < max(columns, 2)


def test_there_are_no_more_rows_than_the_terminal_has() -> None:
    terminal, bars = begin(height=2)
    bars.progress(at(1_900_000, 950_000, 1.0))
    assert len(terminal.shown()) == 1, "the cursor has a row of its own"
    assert terminal.shown()[-1].startswith("Total ")
