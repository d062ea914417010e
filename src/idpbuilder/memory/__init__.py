"""What one run remembers for the next, in one SQLite file in the user's cache folder.

It remembers layers packed before, small documents, archives' tables of contents, where blobs were
seen, what registries are like, and upload sessions that were left open. All of it may be lost at
any time: that costs time, never correctness. So nothing that goes wrong with the file is an error:
what cannot be read was never known, and what cannot be written is forgotten.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping

from idpbuilder.memory.memory import Forgetful, KnownRegistry, LeftUpload, Memory, Packed
from idpbuilder.memory.place import clear, memory_path

__all__ = [
    "AnyMemory",
    "Forgetful",
    "KnownRegistry",
    "LeftUpload",
    "Memory",
    "Packed",
    "clear",
    "memory_path",
    "open_memory",
]

AnyMemory = Memory | Forgetful


def open_memory(
    environ: Mapping[str, str],
    platform: str = sys.platform,
    clock: Callable[[], float] = time.time,
) -> AnyMemory:
    """The memory of the user whose variables these are; a forgetful one where there is no place.

    Nothing on disk is touched before the first question or note. `clock` tells seconds since
    1970.
    """
    path = memory_path(environ, platform)
    return Forgetful() if path is None else Memory(path, clock)
