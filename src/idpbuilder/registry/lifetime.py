"""How long an access token lives (distribution, Token Authentication Specification)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from idpbuilder.wire import Headers

_LEAST = 60.0
"""Seconds that a token lives where its service does not say, and at least."""
_LONGEST = 86400.0
_LEAST_LEFT = 10.0
"""Seconds for which a token is used that is at its end: asking for ever is no better."""
_ISSUED = re.compile(r"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_DATE = re.compile(r"\w{3}, (\d\d) (\w{3}) (\d{4}) (\d\d:\d\d:\d\d) GMT")
_UTC = "+00:00"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def lifetime(answer: Mapping[str, object], headers: Headers) -> float:
    """Seconds for which the token in a service's `answer` lives from when it came.

    `expires_in` counts from `issued_at`: a token may come from a cache. How long ago that was is
    told by the answer's own `Date`, since two machines' clocks need not agree.
    """
    whole = _expires_in(answer.get("expires_in"))
    left = whole - _age(answer.get("issued_at"), headers.get("Date"))
    # a service does not give what is over: then its clocks do not agree either
    return max(left, _LEAST_LEFT) if left > 0 else whole


def _expires_in(said: object) -> float:
    # written so that NaN counts as nothing said, and no integer is too large to be a float
    if not isinstance(said, int | float) or not said > _LEAST:
        return _LEAST
    return float(min(said, _LONGEST))


def _age(issued: object, date: str | None) -> float:
    """Seconds between the two; 0 where one of them does not say, or it is the wrong way round."""
    begun = _ISSUED.fullmatch(issued) if isinstance(issued, str) else None
    now = _DATE.fullmatch(date) if date else None
    if begun is None or now is None:
        return 0.0
    from datetime import datetime

    day, month, year, clock = now.groups()
    try:
        then = datetime.fromisoformat(begun[1] + (_UTC if begun[2] in "Zz" else begun[2]))
        number = _MONTHS.index(month) + 1
        came = datetime.fromisoformat(f"{year}-{number:02}-{day}T{clock}{_UTC}")
    except ValueError:
        return 0.0
    return max((came - then).total_seconds(), 0.0)
