"""What a user writes, and what it asks of a push: on the command line, in lists, and in Python."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

from idpbuilder.errors import BadValue, Unrepeatable, UsageError
from idpbuilder.image import InvalidValue, Reference
from idpbuilder.push.destination import Prefix

T = TypeVar("T")

TO_HINT = "write a destination as `host[:port]/path/name[:tag]`"
REGISTRY_HINT = "write it as `[http://|https://]host[:port][/namespace]`"
PLATFORM_HINT = "write it as `linux/amd64` or `linux/arm/v7`"


def destination(text: str) -> Reference:
    """The reference that `text` is. Raises BadValue, InvalidValue."""
    name, _, digest = text.rpartition("@")
    _refuse_secrets(name if digest.startswith(("sha256:", "sha512:")) else text)
    if "://" in text:
        raise BadValue("a destination has no scheme", "for plain HTTP use `--registry http://HOST`")
    reference = Reference.parse(text)
    if not reference.registry and "/" not in reference.repository:
        raise BadValue(
            "it names no registry", f"{TO_HINT}; on Docker Hub, as `docker.io/user/name`"
        )
    return reference


def prefix(text: str) -> Prefix:
    """The prefix that `text` is. Raises BadValue, InvalidValue."""
    _refuse_secrets(text)
    return Prefix.parse(text)


def user(text: str) -> str:
    """The user name that `text` is. Raises Unrepeatable."""
    if ":" in text:
        # Basic would take what follows the colon for the password (RFC 7617)
        raise Unrepeatable("holds a colon", "give the password with `--password-stdin`")
    return text


def folder(text: str) -> str:
    """The folder of certificates that `text` names. Raises BadValue."""
    from idpbuilder.transport.trust import TrustUnusable, check_folder

    hint = "name the folder that holds `*.crt`, `*.cert` and `*.key`"
    if not os.path.isdir(text):
        raise BadValue("it is no directory", hint)
    try:
        check_folder(text)
    except TrustUnusable as error:
        raise BadValue(str(error), hint) from error
    return text


def parsed(text: str, where: str, parse: Callable[[str], T], hint: str = "") -> T:
    """`text` as `parse` reads it. Raises UsageError, which names `where` it stood."""
    if not text:
        raise UsageError(f"{where} is empty", hint="give it a value, or leave it out")
    try:
        return parse(text)
    except Unrepeatable as error:
        raise UsageError(f"{where} {error}", hint=error.hint) from error
    except BadValue as error:
        raise UsageError(
            f"`{text}` cannot be used for {where}", str(error), error.hint or hint
        ) from error
    except InvalidValue as error:
        raise UsageError(f"`{text}` cannot be used for {where}", str(error), hint) from error


def _refuse_secrets(text: str) -> None:
    """Raise Unrepeatable for a place, its digest left out, with a user in it or a query."""
    if "@" in text:
        # a password may hold a slash: wherever the `@` is, what stands before it may be one
        hint = "give them with `--username` and `--password-stdin`"
        raise Unrepeatable("holds a user name or password", hint)
    if "?" in text:
        raise Unrepeatable("holds a query", "leave out the `?` and what follows it")
