"""What a source may need of its surroundings: engines to look into, and what is remembered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from idpbuilder.image import Digest
from idpbuilder.wire import Engine

if TYPE_CHECKING:
    from idpbuilder.source.arriving import Arrived


def nobody_else(_seconds: float) -> bool:
    """There is nobody to let go on meanwhile."""
    return False


@dataclass(frozen=True, slots=True)
class Surroundings:
    """`engine` moves the requests; what it gives out of `poll` is what was submitted here.

    `note` is told what is done, for `--verbose`, and `chosen` which image was chosen. `known` gives
    the verified content of a digest where it is remembered. `early` says who is told of an image's
    layers while they arrive, None for nobody; it is asked with the image's diff IDs, none where
    they are not known yet. `registry` (`host[:port]`) is where the image will go, None where its
    own name says so. `table` gives what is remembered of an archive or of an engine's image, None
    where nothing is to be remembered at all; `forget` is told of what turned out to be wrong.
    `at_length` is called before what takes long and much room, an export or a copy; it may raise.
    `idle` is called while nothing comes: it lets others go on for at most so many seconds, and
    tells whether there are any; it may raise.
    """

    engine: Engine
    environ: Mapping[str, str]
    note: Callable[[str], None]
    chosen: Callable[[str], None]
    known: Callable[[Digest], bytes | None]
    early: Callable[[tuple[Digest, ...]], Arrived | None]
    registry: str | None = None
    table: Callable[[str], bytes | None] | None = None
    forget: Callable[[str], None] = lambda key: None
    at_length: Callable[[], None] = lambda: None
    idle: Callable[[float], bool] = nobody_else
