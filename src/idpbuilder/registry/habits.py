"""What was learnt about one registry, shared by all uploads to it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

LEAST_CHUNK: Final = 1024 * 1024
"""Bytes: what the strictest proxies take in one request."""

MOST_CHUNK: Final = 64 * 1024 * 1024
_SMALLER: Final = 4


class Probe(Enum):
    """What a mount of a blob from the very repository it is for tells on this registry.

    Where it is honest, 201 says that the blob is there and 202 opens a session: one round trip in
    place of HEAD and POST.
    """

    UNKNOWN = "unknown"
    HONEST = "honest"
    USELESS = "useless"


@dataclass(slots=True)
class Habits:
    """`resumes` says that an upload session may be gone on with after a break, as far as is known.
    `chunk` are the most bytes that it takes in one request, 0 for no limit that is known.
    """

    probe: Probe = Probe.UNKNOWN
    refused_sources: set[str] = field(default_factory=set)
    resumes: bool = True
    chunk: int = 0

    def shrink(self, refused: int) -> bool:
        """A request with a body of `refused` bytes was too large; whether a smaller one is worth
        a try.
        """
        if refused <= LEAST_CHUNK:
            return False
        smaller = min(MOST_CHUNK, max(refused // _SMALLER, LEAST_CHUNK))
        self.chunk = min(self.chunk or smaller, smaller)
        return True
