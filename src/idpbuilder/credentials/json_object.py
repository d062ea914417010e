"""JSON objects as Go's programs read them: docker, podman, and the helpers that both run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from idpbuilder.image import InvalidValue

_BLANK = " \t\r\n"


def first_object(data: bytes) -> dict[str, object]:
    """The object that `data` begins with; what follows it is passed over, as docker does.

    The names of its own fields come as `fields` gives them. Raises InvalidValue.
    """
    text = data.decode(json.detect_encoding(data), "replace").lstrip(_BLANK)
    try:
        value, _ = json.JSONDecoder(object_pairs_hook=_merged).raw_decode(text)
    except (ValueError, RecursionError):
        # the decoder's error holds what it could not decode
        raise InvalidValue("is not JSON") from None
    if not isinstance(value, dict):
        raise InvalidValue("is not a JSON object")
    return fields(value)


def fields(found: Mapping[str, object]) -> dict[str, object]:
    """`found` by names in lower case: to Go `identityToken` is `identitytoken`."""
    return _merged((name.lower(), value) for name, value in found.items())


def _merged(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    """Of what is said twice the later counts, and what two objects hold is put together."""
    found: dict[str, object] = {}
    for name, value in pairs:
        before = found.get(name)
        if isinstance(before, dict) and isinstance(value, dict):
            before.update(value)
        else:
            found[name] = value
    return found
