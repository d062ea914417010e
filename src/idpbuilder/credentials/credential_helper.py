"""Credential helpers: programs that keep secrets (the protocol of docker-credential-helpers)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from idpbuilder.credentials.entry import credentials_of
from idpbuilder.credentials.surroundings import Surroundings
from idpbuilder.credentials.unusable import Unusable
from idpbuilder.errors import CredentialHelperFailed
from idpbuilder.image import InvalidValue
from idpbuilder.image.manifest import parse_object
from idpbuilder.registry.credentials import Credentials

if TYPE_CHECKING:
    from idpbuilder.credentials.program import Ended

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_NOT_FOUND = "credentials not found in native keychain"
_SAID_LIMIT = 300
_SECRET = re.compile(r'"Secret"\s*:\s*"((?:[^"\\]|\\.)*)"?', re.IGNORECASE)
_MARK = "***"
# it has no business there
_OUR_SECRET = "IDPBUILDER_REGISTRY_PASSWORD"


def is_helper_name(name: str) -> bool:
    """Whether `name` can be the end of a program's name: no path, and nothing odd."""
    return _NAME.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class Helper:
    """`docker-credential-NAME`, to be asked for `server`; the file `shown` names it.

    One that `may_be_missing` counts as holding nothing where it is not installed.
    """

    name: str
    server: str
    shown: str
    may_be_missing: bool = False

    @property
    def program(self) -> str:
        """What is run."""
        return f"docker-credential-{self.name}"

    def ask(self, surroundings: Surroundings) -> Credentials | None:
        """What it keeps for its server; None where that is nothing.

        Raises CredentialHelperFailed where it fails, and what `check` raises.
        """
        from idpbuilder.credentials.program import ProgramFailed, run

        path = _on_path(self.program, surroundings.environ)
        if path is None:
            self._miss(surroundings)
            return None
        environ = {k: v for k, v in surroundings.environ.items() if k != _OUR_SECRET}
        server = self.server.encode("utf-8", "surrogateescape")
        try:
            ended = run([path, "get"], server, environ, surroundings.patience, surroundings.check)
        except ProgramFailed as error:
            raise self._failed(str(error)) from error
        return self._answer(ended, surroundings)

    def _miss(self, surroundings: Surroundings) -> None:
        if not self.may_be_missing:
            raise self._failed("it is not on PATH", f"install it, or take it out of `{self.shown}`")
        surroundings.warn(
            f"the credential helper `{self.program}` of `{self.shown}` is not on PATH: going on "
            "without it"
        )

    def _answer(self, ended: Ended, surroundings: Surroundings) -> Credentials | None:
        out = ended.out.decode("utf-8", "replace")
        secrets = _secrets_in(out)
        for secret in secrets:
            surroundings.confide(secret)
        if ended.code and _NOT_FOUND in out:
            return None
        # helpers built with docker's own kit tell of trouble on stdout
        said = _shown(ended.err.decode("utf-8", "replace"), secrets)
        if ended.code:
            how = f"exit code {ended.code}" if ended.code > 0 else f"signal {-ended.code}"
            said = said or _shown(out, secrets)
            raise self._failed(f"it ended with {how}" + (f" ({said})" if said else ""))
        found = self._read(bytes(ended.out), said)
        if said:
            surroundings.warn(f"`{self.program}` says: {said}")
        return found

    def _read(self, out: bytes, said: str) -> Credentials | None:
        aside = f" ({said})" if said else ""
        try:
            answer = parse_object(out)
        except InvalidValue as error:
            raise self._failed(f"its answer {error}{aside}") from error
        username, secret = answer.get("Username"), answer.get("Secret")
        if not isinstance(username, str) or not isinstance(secret, str):
            raise self._failed(f"its answer has no `Username` and `Secret`{aside}")
        if not secret:
            return None
        try:
            return credentials_of(f"{self.program} of {self.shown}", username, secret)
        except Unusable as error:
            raise self._failed(str(error)) from error

    def _failed(self, why: str, hint: str = "") -> CredentialHelperFailed:
        return CredentialHelperFailed(
            f"no credentials for `{self.server}` from the credential helper `{self.program}`",
            why,
            f"{hint or 'sign in again with the tool that uses it'}, or give them with "
            "`--username` and `--password-stdin`",
        )


def _on_path(program: str, environ: Mapping[str, str]) -> str | None:
    """Where it is installed. What lies in the working directory is not: it may be anyone's."""
    for folder in environ.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(folder, program)
        if os.path.isabs(folder) and os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return None


def _secrets_in(out: str) -> list[str]:
    """What may be a secret in an answer, well formed or not; as written, and as meant."""
    from json import loads

    found = []
    for written in _SECRET.findall(out):
        found.append(written)
        try:
            found.append(loads(f'"{written}"', strict=False))
        except ValueError:
            continue
    return [secret for secret in dict.fromkeys(found) if secret]


def _shown(text: str, secrets: list[str]) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, _MARK)
    text = " ".join(text.split())
    return text if len(text) <= _SAID_LIMIT else f"{text[:_SAID_LIMIT]}…"
