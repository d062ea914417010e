"""What was found, in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.parts.cost import Samples
from bench.parts.peers import US
from bench.parts.record import Found, Judgement, Record
from bench.parts.targets import middle, paired

_FIGURES = (
    # key, heading, digits
    ("seconds", "seconds", 3),
    ("cpu", "CPU seconds", 3),
    ("memory", "MiB", 1),
    ("files", "open files", 0),
    ("round_trips", "round trips", 1),
    ("connections", "connections", 0),
    ("requests", "requests", 0),
    ("stored", "MB stored", 1),
)
_UNITS = {"stored": 1e6}


def document(record: Record) -> str:
    """The whole of it: what it was run on, targets, ratios, figures."""
    rows = record.rows
    parts = [head(record), *targets(rows), "", *ratios(rows), "", *figures(rows)]
    return "\n".join(parts) + "\n"


def head(record: Record) -> str:
    """When it was measured, on what, and beside which programs."""
    machine = record.machine
    programs = ", ".join(
        text if name.lower() in text.lower() else f"{name} {text}"
        for name, text in record.versions.items()
        if text
    )
    return (
        f"{record.date[:10]}, {record.commit}, {record.mode} mode. {machine['processor']},"
        f" {machine['cores']} cores, load before {machine['load']:.1f}. {programs}."
    )


def targets(rows: Sequence[Found]) -> Iterator[str]:
    """Measured, to reach, met."""
    if not any(row.judgements for row in rows):
        return
    yield from ("", "| work | figure | measured | to reach | met |", "|---|---|---|---|---|")
    for row in rows:
        for judgement in row.judgements:
            yield f"| {row.work} | {' | '.join(_cells(judgement, row.skipped))} |"


def _cells(judgement: Judgement, skipped: str) -> Iterator[str]:
    digits, unit = judgement.digits, judgement.unit and f" {judgement.unit}"
    measured, stretch = judgement.measured, judgement.stretch
    yield judgement.what
    yield "–" if measured is None else f"{measured:.{digits}f}{unit}"
    yield f"≤ {judgement.limit:.{digits}f}{unit}" + (
        "" if stretch is None else f", {stretch:.{digits}f} a stretch"
    )
    if judgement.met is None:
        yield f"not measured{skipped and f': {skipped}'}"
    else:
        yield "yes" if judgement.met else "**no**"


def ratios(rows: Sequence[Found]) -> Iterator[str]:
    """Our time beside each peer's."""
    found = [(title, samples) for row in rows for title, samples in _points(row) if US in samples]
    peers = list(dict.fromkeys(peer for _, samples in found for peer in samples if peer != US))
    yield f"| our time beside that of | {' | '.join(peers)} |"
    yield "|---|" + "---|" * len(peers)
    for title, samples in found:
        beside = [paired(samples, peer, "seconds") for peer in peers]
        if any(beside):
            yield f"| {title} | {' | '.join(_number(one, 2) for one in beside)} |"


def figures(rows: Sequence[Found]) -> Iterator[str]:
    """The medians themselves."""
    yield f"| work | program | {' | '.join(heading for _, heading, _ in _FIGURES)} |"
    yield "|---|---|" + "---|" * len(_FIGURES)
    for row in rows:
        for title, samples in _points(row):
            for line in medians(samples):
                yield f"| {title} | {line} |"


def medians(samples: Samples) -> Iterator[str]:
    """A line of cells for each program."""
    for program in samples:
        cells = [
            _number(found and found / _UNITS.get(key, 1), digits)
            for key, _, digits in _FIGURES
            for found in [middle(samples, program, key)]
        ]
        yield " | ".join([program, *cells])


def _points(row: Found) -> Iterator[tuple[str, Samples]]:
    for point, samples in row.points.items():
        yield f"{row.work}; {row.axis}: {point}" if point else row.work, samples


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
