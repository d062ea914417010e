"""Where the troubleshooting guide speaks of each error; the guide's tests hold it to this."""

from __future__ import annotations

import re
from typing import Final

from idpbuilder import errors
from idpbuilder.errors import PushError

_PAGE: Final = "docs/user-guide/troubleshooting.md"

SECTIONS: Final[dict[type[PushError], tuple[str, ...]]] = {
    errors.UsageError: ("The command line",),
    errors.LocalError: ("This machine",),
    errors.Unauthorized: ("Credentials",),
    errors.Forbidden: ("Permissions",),
    errors.TokenRefused: ("Token services",),
    errors.CredentialsWithheld: ("Plain HTTP",),
    errors.CredentialHelperFailed: ("Credential helpers",),
    errors.Unreachable: ("Connections", "Proxies"),
    errors.TlsFailed: ("Certificates", "TLS"),
    errors.ImageNotFound: ("Images that are not found", "Container engines"),
    errors.ImageUnreadable: ("Files that cannot be read",),
    errors.ImageInvalid: ("Broken images",),
    errors.PlatformNotFound: ("Platforms",),
    errors.ImageChanged: ("Images that change",),
    errors.RepositoryNotFound: ("Repositories",),
    errors.BodyTooLarge: ("Size limits",),
    errors.RateLimited: ("Too many requests",),
    errors.ContentRefused: ("Refused content",),
    errors.RegistryFailed: ("Answers that make no sense",),
    errors.Incompatible: ("Answers that make no sense",),
    errors.PushTimeout: ("Time",),
}
"""The headings of each class of errors, the one that is named first; subclasses go with it."""

UNEXPECTED: Final = "Unexpected errors"


def section(error: PushError) -> str:
    """What to read of an error, as a path and an anchor; "" for a signal."""
    for kind in type(error).__mro__:
        if kind in SECTIONS:
            return f"{_PAGE}#{anchor(SECTIONS[kind][0])}"
    return "" if isinstance(error, errors.Interrupted) else f"{_PAGE}#{anchor(UNEXPECTED)}"


def anchor(heading: str) -> str:
    """What a link to a heading names, on GitHub as in MkDocs."""
    return re.sub(r"[^a-z0-9 _-]", "", heading.lower().replace("`", "")).strip().replace(" ", "-")
