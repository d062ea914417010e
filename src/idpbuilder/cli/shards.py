"""`--shard`: which of several machines this is, said outright or by the CI system."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from idpbuilder.errors import BadValue
from idpbuilder.push.options import Shard

LIMIT: Final = 10_000

_SHARD: Final = re.compile(r"([0-9]{1,6})/([0-9]{1,6})")
_INDEX: Final = "CI_NODE_INDEX"
_TOTAL: Final = "CI_NODE_TOTAL"
_HINT: Final = "write `I/N`: this is machine I of N, from 1; or `ci` where the CI system says so"


def shard(text: str, environ: Mapping[str, str]) -> Shard:
    """The shard that `text` names, `ci` for what the CI system's variables say. Raises BadValue."""
    if text == "ci":
        missing = [name for name in (_INDEX, _TOTAL) if not environ.get(name)]
        if missing:
            hint = f"set {_INDEX} and {_TOTAL}, as GitLab does for `parallel:`, or write `I/N`"
            raise BadValue(f"{missing[0]} is not set", hint)
        text = f"{environ[_INDEX]}/{environ[_TOTAL]}"
    match = _SHARD.fullmatch(text)
    if match is None:
        raise BadValue("it is no shard", _HINT)
    number, count = int(match[1]), int(match[2])
    if not 1 <= number <= count <= LIMIT:
        raise BadValue(f"`{number}/{count}` is out of range: the first of N is 1", _HINT)
    return Shard(number, count)
