"""What a long run of faulted pushes came to, as a table: fault × place."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from tests.faults.pushes import Outcome

_COLUMNS = (
    "fault",
    "place",
    "pushes",
    "whole",
    "failed as they should",
    "exit codes",
    "retries",
    "sent again",
    "wrong",
)


def table(outcomes: Iterable[Outcome]) -> str:
    """A row for each fault and place; retries and bytes are means of the pushes, and the most."""
    rows: dict[tuple[str, str], list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        ever = ", from then on" if outcome.case.ever else ""
        rows[outcome.case.kind + ever, _place(outcome)].append(outcome)
    lines = [_COLUMNS, tuple("---" for _ in _COLUMNS)]
    lines += [(*key, *_cells(found)) for key, found in sorted(rows.items())]
    every = [one for found in rows.values() for one in found]
    lines.append(("all", "", *_cells(every)))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _place(outcome: Outcome) -> str:
    return outcome.places[0] if outcome.places else "not reached"


def _cells(found: list[Outcome]) -> tuple[str, ...]:
    sound = [one for one in found if not one.problems]
    whole = sum(one.tag == "new" for one in sound)
    codes = Counter(one.code for one in found)
    retries = [one.retries for one in found if one.retries is not None]
    again = [one.again for one in found]
    return (
        str(len(found)),
        str(whole),
        str(len(sound) - whole),
        " ".join(f"{code}×{count}" for code, count in sorted(codes.items())),
        f"{sum(retries) / len(retries):.1f} ({max(retries)})" if retries else "",
        f"{_kilobytes(sum(again) / len(again))} ({_kilobytes(max(again))})",
        str(len(found) - len(sound)),
    )


def _kilobytes(count: float) -> str:
    return f"{count / 1000:.0f} kB"
