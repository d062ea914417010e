"""Curves as SVG, in plain text: time against distance and against size, on logarithmic axes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from bench.parts.record import Found
from bench.parts.targets import middle

WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 64, 120, 40, 48
COLOURS = {
    "idpbuilder": "#0b6e4f",
    "crane": "#c8553d",
    "skopeo": "#3d5a80",
    "oras": "#8e6c8a",
    "docker": "#6b705c",
}

Curve = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Axis:
    """Values to pixels, from `begin` to `end`; a logarithmic axis cannot hold 0."""

    values: Sequence[float]
    begin: float
    end: float
    logarithmic: bool

    def at(self, value: float) -> float:
        """Where a value lies."""
        low, high = self._scaled(self.values[0]), self._scaled(self.values[-1])
        share = (self._scaled(value) - low) / ((high - low) or 1)
        return self.begin + share * (self.end - self.begin)

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.logarithmic else value


def curves(found: Found) -> Mapping[str, Curve]:
    """The programs' median seconds at each point of a series."""
    programs = dict.fromkeys(name for samples in found.points.values() for name in samples)
    return {
        program: [
            (float(x), seconds)
            for x, samples in found.points.items()
            if (seconds := middle(samples, program, "seconds")) is not None
        ]
        for program in programs
    }


def plot(found: Found) -> str:
    """An SVG of a series."""
    drawn = curves(found)
    xs = sorted({x for curve in drawn.values() for x, _ in curve})
    seconds = [y for curve in drawn.values() for _, y in curve]
    across = Axis(xs, LEFT, WIDTH - RIGHT, logarithmic=xs[0] > 0)
    up = Axis(_steps(min(seconds), max(seconds)), HEIGHT - BOTTOM, TOP, logarithmic=True)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">',
        "<style>text { font: 12px sans-serif }</style>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        _text(LEFT, 20, found.work, "start", 'style="font-weight: bold"'),
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, found.axis, "middle"),
        _text(LEFT - 8, TOP - 10, "seconds", "end"),
        *_grid(across, up),
        *_lines(drawn, across, up),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _steps(low: float, high: float) -> list[float]:
    """1, 2, 5, 10 … around `low` and `high`."""
    steps = [float(f"{digit}e{power}") for power in range(-4, 6) for digit in (1, 2, 5)]
    first = max(step for step in steps if step <= low)
    last = min(step for step in steps if step > high)
    return [step for step in steps if first <= step <= last]


def _grid(across: Axis, up: Axis) -> Iterator[str]:
    for value in up.values:
        y = up.at(value)
        yield f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>'
        yield _text(LEFT - 8, y + 4, f"{value:g}", "end")
    for value in across.values:
        x = across.at(value)
        yield f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#eee"/>'
        yield _text(x, HEIGHT - BOTTOM + 18, f"{value:g}", "middle")


def _lines(drawn: Mapping[str, Curve], across: Axis, up: Axis) -> Iterator[str]:
    # names beside the ends of their curves, at least a line apart
    taken = math.inf
    for program, curve in sorted(drawn.items(), key=lambda one: one[1][-1][1]):
        colour = COLOURS.get(program, "black")
        points = [(across.at(x), up.at(y)) for x, y in curve]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        yield f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
        for x, y in points:
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'
        taken = min(taken - 14, points[-1][1] + 4)
        yield _text(points[-1][0] + 10, taken, program, "start", f'fill="{colour}"')


def _text(x: float, y: float, text: str, anchor: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{escape(text)}</text>'
