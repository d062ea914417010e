"""How layers are packed: the format and its level."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from idpbuilder.image import InvalidValue

GZIP = "gzip"
ZSTD = "zstd"
NONE = "none"

_SCHEME = {GZIP: 1, ZSTD: 2, NONE: 1}
"""Counts up whenever the same library and level give other bytes than before: other blocks, other
parameters.
"""

# ISA-L's level 3 gives other bytes on other processors, its level 0 no dictionary worth the name
_LEVELS = {GZIP: range(1, 3), ZSTD: range(1, 20)}
_DEFAULT_LEVEL = {GZIP: 2, ZSTD: 3}


@dataclass(frozen=True, slots=True)
class Method:
    """A format (`gzip`, `zstd` or `none`) and its level, 0 for `none`."""

    kind: str
    level: int

    @classmethod
    def choose(cls, kind: str = GZIP, level: int | None = None) -> Method:
        """The method of these values; the format's own level where none is given.

        Raises InvalidValue for a format or a level that there is not.
        """
        if kind == NONE:
            if level is not None:
                raise InvalidValue("there is no level where nothing is compressed")
            return cls(NONE, 0)
        levels = _LEVELS.get(kind)
        if levels is None:
            raise InvalidValue(f"`{kind}` is none of gzip, zstd and none")
        if level is None:
            level = _DEFAULT_LEVEL[kind]
        if level not in levels:
            raise InvalidValue(f"{kind} has levels {levels[0]} to {levels[-1]}, not `{level}`")
        return cls(kind, level)

    @property
    def name(self) -> str:
        """The method with all that its bytes depend on: what packed layers are remembered under."""
        if self.kind == GZIP:
            from isal import ISAL_VERSION

            return f"{GZIP}-{self.level}/{_SCHEME[GZIP]}/isa-l-{ISAL_VERSION}"
        if self.kind == ZSTD:
            if sys.version_info >= (3, 14):
                from compression import zstd
            else:
                from backports import zstd

            return f"{ZSTD}-{self.level}/{_SCHEME[ZSTD]}/zstd-{zstd.zstd_version}"
        return f"{NONE}/{_SCHEME[NONE]}"
