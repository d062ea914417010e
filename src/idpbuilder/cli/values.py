"""What the values of flags and variables mean. Pure: a text in, a value out, or BadValue."""

from __future__ import annotations

import re
from typing import Final

from idpbuilder.errors import BadValue

_UNIT_SECONDS: Final = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,  # micro sign
    "μs": 1e-6,  # Greek mu: Go takes both
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}
_LONGEST_SECONDS: Final = (2**63 - 1) / 1e9
_NUMBER: Final = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_TERM: Final = re.compile(rf"({_NUMBER})(ns|us|µs|μs|ms|s|m|h)")
_DURATION: Final = re.compile(rf"\+?(?:{_TERM.pattern})+")
_BARE_NUMBER: Final = re.compile(rf"\+?{_NUMBER}")
_DURATION_HINT: Final = "write a duration as `90s`, `5m` or `1h30m`; `0` is no limit"

_RATE: Final = re.compile(rf"({_NUMBER})([KMGT]?)", re.IGNORECASE)
_RATE_POWER: Final = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
_HIGHEST_RATE: Final = 2**63 - 1

_BOOLEANS: Final = {
    "true": True,
    "1": True,
    "yes": True,
    "false": False,
    "0": False,
    "no": False,
}


def duration(text: str) -> float | None:
    """Seconds of a duration in the grammar of Go's `time.ParseDuration`; None for no limit (`0`).

    Raises BadValue, also for what is negative or beyond Go's range of about 292 years.
    """
    if not _DURATION.fullmatch(text):
        if not _BARE_NUMBER.fullmatch(text):
            raise BadValue("it is no duration", _DURATION_HINT)
        if float(text) != 0:
            raise BadValue("it has no unit", f"did you mean `{text}s`?")
    seconds = sum(float(number) * _UNIT_SECONDS[unit] for number, unit in _TERM.findall(text))
    if seconds > _LONGEST_SECONDS:
        raise BadValue("it is too long", _DURATION_HINT)
    return seconds or None


def rate(text: str) -> int | None:
    """Bytes per second of `500K` or `1.5M`; None for no limit (`0`).

    K, M, G and T are powers of 1024, in either case, as in curl's option of the same name.
    Raises BadValue.
    """
    match = _RATE.fullmatch(text)
    if match is None:
        raise BadValue(
            "it is no rate", "write bytes per second, as `500K` or `10M`; `0` is no limit"
        )
    value = float(match[1]) * 1024 ** _RATE_POWER[match[2].upper()]
    if value == 0:
        return None
    if not 1 <= value <= _HIGHEST_RATE:
        raise BadValue("it is out of range", "write bytes per second, as `500K` or `10M`")
    return int(value)


def whole_number(text: str, lowest: int, highest: int) -> int:
    """The number that `text` spells in decimal digits. Raises BadValue outside of the range."""
    hint = f"write a whole number from {lowest} to {highest}"
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise BadValue("it is no whole number", hint)
    # a number of many digits is not even converted: Python refuses beyond 4,300
    if len(text) > 20 or not lowest <= int(text) <= highest:
        raise BadValue("it is out of range", hint)
    return int(text)


def boolean(text: str) -> bool:
    """What a variable says: true, 1, yes or false, 0, no, in any case. Raises BadValue."""
    value = _BOOLEANS.get(text.lower())
    if value is None:
        raise BadValue("it is neither true nor false", "write `true` or `false`")
    return value


def one_of(text: str, choices: tuple[str, ...]) -> str:
    """`text` itself. Raises BadValue unless it is one of `choices`."""
    if text not in choices:
        listed = ", ".join(f"`{choice}`" for choice in choices)
        raise BadValue("it is not one of the choices", f"choose one of {listed}")
    return text
