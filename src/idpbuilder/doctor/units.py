"""Sizes and times as findings tell them."""

from __future__ import annotations

from typing import Final

_UNITS: Final = ("B", "kB", "MB", "GB", "TB", "PB")


def size_text(size: float) -> str:
    """`size` bytes in SI units, as `173 B` or `2.5 kB`."""
    unit = 0
    # what would be rounded up to 1000.0 belongs to the next unit
    while size >= (999.5 if unit == 0 else 999.95) and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.0f} B" if unit == 0 else f"{size:.1f} {_UNITS[unit]}"


def time_text(seconds: float) -> str:
    """`seconds` as `0.4 ms`, `35 ms` or `1.2 s`."""
    if seconds >= 1:
        return f"{seconds:.1f} s"
    milliseconds = seconds * 1000
    return f"{milliseconds:.1f} ms" if milliseconds < 10 else f"{milliseconds:.0f} ms"
