"""Everything that can end a push, as one tree.

    PushError
    ├── UsageError              a flag, variable, name or destination that cannot be used
    ├── LocalError              this machine: a full disk, an output that cannot be written
    ├── AuthError
    │   ├── Unauthorized          the registry does not accept who we are (401)
    │   ├── Forbidden             the registry knows us and says no (403)
    │   ├── TokenRefused          the token service gives no token
    │   ├── CredentialsWithheld   sending a secret would have shown it to the network
    │   └── CredentialHelperFailed a credential helper that fails
    ├── NetworkError
    │   ├── Unreachable         no name, no connection, a connection that breaks or stalls
    │   └── TlsFailed           no handshake, or a certificate that is not trusted
    ├── SourceError
    │   ├── ImageNotFound       nothing there under that name
    │   ├── ImageUnreadable     it is there, and cannot be opened or read
    │   ├── ImageInvalid        it breaks the image format, or lies
    │   ├── ImageChanged        it changed while it was being sent
    │   └── PlatformNotFound    no image for the platform asked for
    ├── RegistryError
    │   ├── RepositoryNotFound  404 where the repository should be
    │   ├── BodyTooLarge        413
    │   ├── RateLimited         429 after the retries
    │   ├── RegistryFailed      5xx after the retries
    │   ├── ContentRefused      a digest or a manifest that the registry does not take
    │   │   └── BlobsMissing    a manifest whose blobs the registry does not find
    │   └── Incompatible        an answer that the protocol does not know
    ├── PushTimeout             `--timeout` passed
    └── Interrupted             a signal

Each error says what failed, why, and what to do. None knows an exit code:
`cli/exits.py` maps the tree to codes. `BadValue` is not one of them yet: whoever knows where
the value stood makes a UsageError of it.
"""

from __future__ import annotations


class PushError(Exception):
    """What failed, why, and what the user can do about it.

    `what` and `why` become `Error: <what>: <why>`; `hint` follows after a blank line.
    None of them ends in a full stop, and none of them ever holds a secret.
    """

    def __init__(self, what: str, why: str = "", hint: str = "") -> None:
        super().__init__(what, why, hint)
        self.what = what
        self.why = why
        self.hint = hint

    @property
    def message(self) -> str:
        """What failed and why, on one line."""
        return f"{self.what}: {self.why}" if self.why else self.what

    def __str__(self) -> str:
        return self.message


class UsageError(PushError):
    """A flag, variable, name or destination that cannot be used."""


class LocalError(PushError):
    """This machine cannot do its part: a full disk, a file that cannot be written."""


class AuthError(PushError):
    """The registry, or its token service, does not let us in."""


class Unauthorized(AuthError):
    """401, after one renewed sign-in."""


class Forbidden(AuthError):
    """403: signed in or not, this is not allowed."""


class TokenRefused(AuthError):
    """The token service refused, or its answer holds no token."""


class CredentialsWithheld(AuthError):
    """A secret was asked for where the network could read it."""


class CredentialHelperFailed(AuthError):
    """A credential helper that fails."""


class NetworkError(PushError):
    """The registry could not be talked to."""


class Unreachable(NetworkError):
    """No name, no connection, or one that broke or stalled."""


class TlsFailed(NetworkError):
    """No TLS handshake, or a certificate that is not trusted."""


class SourceError(PushError):
    """The image itself cannot be pushed."""


class ImageNotFound(SourceError):
    """There is nothing under that name."""


class ImageUnreadable(SourceError):
    """It is there, and cannot be opened or read."""


class ImageInvalid(SourceError):
    """It breaks the image format, or its content is not what it says."""


class ImageChanged(SourceError):
    """A local file changed while it was being sent."""


class PlatformNotFound(SourceError):
    """No image for the platform that was asked for."""


class RegistryError(PushError):
    """The registry answered, and the answer ends the push."""


class RepositoryNotFound(RegistryError):
    """404 where the repository should be."""


class BodyTooLarge(RegistryError):
    """413: the registry, or a proxy before it, limits the size of a request."""


class RateLimited(RegistryError):
    """429, still after the retries."""


class RegistryFailed(RegistryError):
    """A 5xx answer, still after the retries."""


class ContentRefused(RegistryError):
    """A digest or a manifest that the registry does not take."""


class BlobsMissing(ContentRefused):
    """A manifest whose blobs the registry does not find (MANIFEST_BLOB_UNKNOWN)."""


class Incompatible(RegistryError):
    """An answer that the distribution protocol does not know."""


class PushTimeout(PushError):
    """`--timeout` passed before the image was whole."""


class Interrupted(PushError):
    """A signal asked the push to stop; `signum` says which."""

    def __init__(self, what: str, signum: int) -> None:
        super().__init__(what)
        self.signum = signum


class BadValue(ValueError):
    """A value that cannot be used; `hint` says what can."""

    def __init__(self, why: str, hint: str = "") -> None:
        super().__init__(why)
        self.hint = hint


class Unrepeatable(BadValue):
    """A value that may hold a secret: no message repeats it. The text goes on where the name of the
    flag ends.
    """
