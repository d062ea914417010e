"""`WWW-Authenticate`: what a registry asks of who wants in (RFC 9110, 11.6.1)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from idpbuilder.wire import Headers

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(rf'\s*({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))\s*')
_SCHEME = re.compile(rf"\s*({_TOKEN})(?=\s|,|\Z)\s*")
_TOKEN_68 = re.compile(r"[A-Za-z0-9._~+/-]+=*\s*(?=,|\Z)")
_COMMAS = re.compile(r"[\s,]*")
_ESCAPED = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One scheme, in lower case, and its parameters, their names in lower case."""

    scheme: str
    parameters: Mapping[str, str]


def parse_challenges(headers: Headers) -> tuple[Challenge, ...]:
    """Every challenge of an answer, in order: a header may hold several, and there may be several
    headers.

    What cannot be read is passed over; a quoted value may hold commas.
    """
    return tuple(found for value in headers.get_all("WWW-Authenticate") for found in _parse(value))


def _parse(value: str) -> Iterator[Challenge]:
    position = _skip(value, 0)
    scheme, parameters = "", dict[str, str]()
    while position < len(value):
        parameter = _PARAMETER.match(value, position)
        if parameter and scheme:
            name, quoted, bare = parameter.groups()
            text = _ESCAPED.sub(r"\1", quoted) if quoted is not None else bare
            parameters.setdefault(name.lower(), text)
            position = _skip(value, parameter.end())
            continue
        found = _SCHEME.match(value, position)
        if scheme:
            yield Challenge(scheme, parameters)
            scheme, parameters = "", {}
        if not found:
            return
        scheme = found[1].lower()
        # a scheme of one's own may come with one bare value in place of parameters
        lump = _TOKEN_68.match(value, found.end())
        position = _skip(value, lump.end() if lump else found.end())
    if scheme:
        yield Challenge(scheme, parameters)


def _skip(value: str, position: int) -> int:
    blank = _COMMAS.match(value, position)
    return blank.end() if blank else position
