"""Docker's `config.json`, and the files of the same form that podman and others write."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from idpbuilder.credentials.keys import keys_for
from idpbuilder.errors import CredentialStoreError
from idpbuilder.image import InvalidValue
from idpbuilder.image.manifest import parse_object
from idpbuilder.registry.credentials import Credentials, fit_for_a_header

_FILE_LIMIT = 4 * 1024 * 1024
_TOKEN_USER = "<token>"
"""The user name under which the secret is an identity token."""


@dataclass(frozen=True, slots=True)
class DockerConfig:
    """The file at `path`, which the user knows as `shown`; where `required` it must be there."""

    path: str
    shown: str
    required: bool = False

    def find(self, registry: str, repository: str) -> Credentials | None:
        """What `auths` holds, most specific key first. Raises CredentialStoreError."""
        auths = self._auths()
        for key in keys_for(auths, registry, repository):
            credentials = self._credentials(key, auths[key])
            if credentials is not None:
                return credentials
        return None

    def _auths(self) -> Mapping[str, object]:
        data = self._read()
        if not data.strip():
            return {}
        try:
            auths = parse_object(data).get("auths")
        except InvalidValue as error:
            raise self._broken(f"it {error}") from error
        if auths is None:
            return {}
        if not isinstance(auths, dict):
            raise self._broken("its `auths` is no JSON object")
        return auths

    def _read(self) -> bytes:
        try:
            with open(self.path, "rb") as file:
                data = file.read(_FILE_LIMIT + 1)
        except OSError as error:
            if isinstance(error, (FileNotFoundError, NotADirectoryError)) and not self.required:
                return b""
            reason = (error.strerror or str(error)).lower()
            raise self._broken(reason) from error
        if len(data) > _FILE_LIMIT:
            raise self._broken(f"it has more than {_FILE_LIMIT} bytes")
        return data

    def _credentials(self, key: str, entry: object) -> Credentials | None:
        if not isinstance(entry, dict):
            raise self._broken(f"its entry for `{key}` is no JSON object")
        fields = dict(self._fields(key, entry))
        if not any(fields.values()):
            # what a credential helper leaves in the file
            return None
        username, secret = fields["username"], fields["password"]
        identity, access = fields["identitytoken"], fields["registrytoken"]
        if not fit_for_a_header(access):
            raise self._broken(f"the `registrytoken` for `{key}` has characters that no token has")
        if username == _TOKEN_USER:
            return Credentials(self.shown, "", "", identity or secret, access)
        return Credentials(self.shown, username, secret, identity, access)

    def _fields(self, key: str, entry: Mapping[str, object]) -> Iterator[tuple[str, str]]:
        for name in ("username", "password", "identitytoken", "registrytoken"):
            yield name, self._text(key, entry, name)
        auth = self._text(key, entry, "auth")
        if auth:
            username, password = self._decoded(key, auth)
            yield "username", username
            yield "password", password

    def _text(self, key: str, entry: Mapping[str, object], name: str) -> str:
        value = entry.get(name)
        if value is not None and not isinstance(value, str):
            raise self._broken(f"the `{name}` for `{key}` is no string")
        return value or ""

    def _decoded(self, key: str, auth: str) -> tuple[str, str]:
        packed = "".join(auth.split()).rstrip("=")
        try:
            text = base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True).decode()
            username, colon, password = text.partition(":")
        except ValueError:
            # not chained: the decoder's error quotes what it could not decode
            colon = ""
        if not colon:
            raise self._broken(f"the `auth` for `{key}` is not base64 of user:password")
        # old clients padded with zero bytes, and docker still takes them off
        return username, password.strip("\0")

    def _broken(self, why: str) -> CredentialStoreError:
        return CredentialStoreError(
            f"cannot use the credentials in `{self.shown}`",
            why,
            "repair the file, or sign in again with the tool that wrote it",
        )
