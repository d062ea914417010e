"""One entry of `auths`, in every form in which docker, podman and others write it."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping

from idpbuilder.credentials.json_object import fields
from idpbuilder.credentials.unusable import Unusable
from idpbuilder.registry.credentials import Credentials, fit_for_a_header

_TOKEN_USER = "<token>"
"""The user name under which the secret is an identity token."""
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def credentials_of(source: str, username: str, secret: str) -> Credentials:
    """A user name with its password, or what the user name says the secret is.

    Raises Unusable where the user name has a colon: Basic would take what follows it for the
    password (RFC 7617).
    """
    username, secret = whole(username), whole(secret)
    if username == _TOKEN_USER:
        return Credentials(source, identity_token=secret)
    if ":" in username:
        raise Unusable("the user name holds a colon")
    return Credentials(source, username, secret)


def whole(text: str) -> str:
    """`text` without halves of characters, which JSON may spell, and no bytes can be."""
    return _LONE_SURROGATE.sub("\ufffd", text)


def read_entry(source: str, key: str, entry: object) -> Credentials | None:
    """What an entry holds; None where it is empty, as a helper leaves it. Raises Unusable."""
    if entry is None:
        return None
    if not isinstance(entry, dict):
        raise Unusable(f"its entry for `{key}` is no JSON object")
    said = dict(_said(key, fields(entry)))
    if not any(said.values()):
        return None
    username, secret = said["username"], said["password"]
    identity, access = said["identitytoken"], said["registrytoken"]
    if not fit_for_a_header(access):
        raise Unusable(f"the `registrytoken` for `{key}` has characters that no token has")
    if username == _TOKEN_USER:
        return Credentials(source, "", "", identity or secret, access)
    if ":" in username:
        raise Unusable(f"the user name for `{key}` holds a colon")
    return Credentials(source, username, secret, identity, access)


def _said(key: str, entry: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for name in ("username", "password", "identitytoken", "registrytoken"):
        yield name, whole(_text(key, entry, name))
    auth = _text(key, entry, "auth")
    if auth:
        username, password = _decoded(key, auth)
        yield "username", username
        yield "password", password


def _text(key: str, entry: Mapping[str, object], name: str) -> str:
    value = entry.get(name)
    if value is not None and not isinstance(value, str):
        raise Unusable(f"the `{name}` for `{key}` is no string")
    return value or ""


def _decoded(key: str, auth: str) -> tuple[str, str]:
    packed = "".join(auth.split()).rstrip("=")
    try:
        data = base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
    except ValueError:
        # not chained: the decoder's error quotes what it could not decode
        data = b""
    # a password may be any bytes, and must arrive as they are
    username, colon, password = data.decode("utf-8", "surrogateescape").partition(":")
    if not colon:
        raise Unusable(f"the `auth` for `{key}` is not base64 of user:password")
    # old clients padded with zero bytes, and docker still takes them off
    return username, password.strip("\0")
