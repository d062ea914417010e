"""Credential helpers: programs that keep secrets (the protocol of docker-credential-helpers)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from idpbuilder.credentials.entry import credentials_of
from idpbuilder.credentials.json_object import first_object
from idpbuilder.credentials.surroundings import Surroundings
from idpbuilder.credentials.unusable import Unusable
from idpbuilder.errors import CredentialHelperFailed
from idpbuilder.image import InvalidValue
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
    """`docker-credential-NAME`, to be asked for each of `servers` in turn; `shown` names it.

    One that `may_be_missing` counts as holding nothing where it is not installed, one that
    `may_fail` where it fails.
    """

    name: str
    servers: tuple[str, ...]
    shown: str
    may_be_missing: bool = False
    may_fail: bool = False

    @property
    def program(self) -> str:
        """What is run."""
        return f"docker-credential-{self.name}"

    def ask(self, surroundings: Surroundings) -> Credentials | None:
        """What it keeps for the first of its servers that it knows; None where that is nothing.

        Raises CredentialHelperFailed where it fails, and what `check` raises.
        """
        path = on_path(self.program, surroundings.environ)
        if path is None:
            self._miss(surroundings)
            return None
        try:
            asked = (self._ask(path, server, surroundings) for server in self.servers)
            return next((found for found in asked if found), None)
        except CredentialHelperFailed as error:
            if not self.may_fail:
                raise
            surroundings.note(f"auth: {error.message}")
            return None

    def _ask(self, path: str, server: str, surroundings: Surroundings) -> Credentials | None:
        from idpbuilder.credentials.program import ProgramFailed, run

        environ = {k: v for k, v in surroundings.environ.items() if k != _OUR_SECRET}
        given = server.encode("utf-8", "surrogateescape")
        try:
            ended = run([path, "get"], given, environ, surroundings.patience, surroundings.check)
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
        said = _shown(ended.err.decode("utf-8", "replace"), secrets, cut=ended.err_is_cut)
        if ended.code:
            how = f"exit code {ended.code}" if ended.code > 0 else f"signal {-ended.code}"
            # helpers built with docker's own kit tell of trouble on stdout
            said = said or (_shown(out, secrets) if _is_told(out) else "")
            raise self._failed(f"it ended with {how}" + (f" ({said})" if said else ""))
        found = self._read(bytes(ended.out), said)
        if said:
            surroundings.warn(f"`{self.program}` says: {said}")
        return found

    def _read(self, out: bytes, said: str) -> Credentials | None:
        aside = f" ({said})" if said else ""
        try:
            answer = first_object(out)
        except InvalidValue as error:
            raise self._failed(f"its answer {error}{aside}") from error
        username, secret = answer.get("username"), answer.get("secret")
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
            f"no credentials for `{self.servers[0]}` from the credential helper `{self.program}`",
            why,
            f"{hint or 'sign in again with the tool that uses it'}, or give them with "
            "`--username` and `--password-stdin`",
        )


def on_path(program: str, environ: Mapping[str, str]) -> str | None:
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


def _is_told(out: str) -> bool:
    """Whether it is words for people: a word alone, or half an answer, may hold a secret."""
    return len(out.split()) > 1 and "{" not in out


def _shown(text: str, secrets: list[str], *, cut: bool = False) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, _MARK)
    text = " ".join(text.split())
    # whoever hides secrets looks for the beginning of one before the mark of a cut
    return f"{text[:_SAID_LIMIT]}…" if cut or len(text) > _SAID_LIMIT else text
