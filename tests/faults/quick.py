"""The command with short waits, so that what is tried again is tried again at once.

Nothing else about it differs: `python -m tests.faults.quick push …`.
"""

from __future__ import annotations

from dataclasses import fields

from idpbuilder.cli.main import main
from idpbuilder.registry.retry import RetryPolicy
from idpbuilder.transport.settings import EngineSettings

STALL = 1.5
"""Seconds without a byte that it takes for a stall."""


def by_default(kind: type, **values: object) -> None:
    """Give the fields of a dataclass that all have defaults other ones."""
    initial = kind.__init__
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    known = dict(zip(names, initial.__defaults__ or (), strict=True))
    assert values.keys() <= known.keys()
    initial.__defaults__ = tuple({**known, **values}.values())  # type: ignore[attr-defined]


def hurry() -> None:
    """Wait no longer than a test must, in this process."""
    by_default(RetryPolicy, first=0.02, ceiling=0.1)
    by_default(EngineSettings, stall_seconds=STALL, answer_seconds=STALL)


if __name__ == "__main__":
    hurry()
    main()
