"""How destinations are written, on the command line and in lists."""

from __future__ import annotations

from idpbuilder.cli.values import BadValue, Unrepeatable
from idpbuilder.image import Reference
from idpbuilder.push.destination import Prefix

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


def _refuse_secrets(text: str) -> None:
    """Raise Unrepeatable for a place, its digest left out, with a user in it or a query."""
    if "@" in text:
        # a password may hold a slash: wherever the `@` is, what stands before it may be one
        hint = "give them with `--username` and `--password-stdin`"
        raise Unrepeatable("holds a user name or password", hint)
    if "?" in text:
        raise Unrepeatable("holds a query", "leave out the `?` and what follows it")
