"""What is to be reached: ratios and counts, computed from samples that were taken in one run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

from bench.parts.cost import Samples
from bench.parts.peers import US

Points = Mapping[str, Samples]
"""What a row measured: at the one point "", or at each point of a series, a number as text."""
Value = Callable[[Points], float | None]
"""A figure, None where what it takes was not measured."""


@dataclass(frozen=True, slots=True)
class Target:
    """`what` is told of the figure; it is to be at most `limit`, and `stretch` would be better."""

    what: str
    value: Value
    limit: float
    stretch: float | None = None
    digits: int = 2
    unit: str = ""


def middle(samples: Samples, program: str, key: str) -> float | None:
    """The median of what a program's runs took."""
    found = [sample[key] for sample in samples.get(program, ()) if key in sample]
    return median(found) if found else None


def paired(samples: Samples, peer: str, key: str) -> float | None:
    """The median of ours beside a peer's, each pair of one round."""
    pairs = zip(samples.get(US, ()), samples.get(peer, ()), strict=False)
    found = [ours[key] / theirs[key] for ours, theirs in pairs if theirs.get(key) and key in ours]
    return median(found) if found else None


def beside(peer: str, key: str = "seconds") -> Value:
    """Ours beside a peer's, 1 for the same."""
    return lambda points: paired(points[""], peer, key)


def beside_best(key: str = "seconds") -> Value:
    """Ours beside that of the peer whose median is the lowest."""

    def value(points: Points) -> float | None:
        samples = points[""]
        theirs = {peer: middle(samples, peer, key) for peer in samples if peer != US}
        known = {peer: figure for peer, figure in theirs.items() if figure is not None}
        return paired(samples, min(known, key=known.__getitem__), key) if known else None

    return value


def ours(key: str) -> Value:
    """Our median."""
    return lambda points: middle(points[""], US, key)


def multiple(program: str, of: str, key: str = "cpu") -> Value:
    """One program's median as a multiple of another's."""

    def value(points: Points) -> float | None:
        first, second = (middle(points[""], name, key) for name in (program, of))
        return first / second if first is not None and second else None

    return value


def marginal(key: str) -> Value:
    """What one more costs at the end of a series beside what it costs before: 1 is linear."""

    def value(points: Points) -> float | None:
        (x1, y1), (x2, y2), (x3, y3) = _ours_at(points, key)[-3:]
        return ((y3 - y2) / (x3 - x2)) / ((y2 - y1) / (x2 - x1))

    return value


def rise(key: str) -> Value:
    """What the largest of a series takes beside the smallest: 1 is flat."""

    def value(points: Points) -> float | None:
        figures = _ours_at(points, key)
        return figures[-1][1] / figures[0][1]

    return value


def _ours_at(points: Points, key: str) -> list[tuple[float, float]]:
    figures = ((float(x), middle(samples, US, key)) for x, samples in points.items())
    return sorted((x, figure) for x, figure in figures if figure is not None)
