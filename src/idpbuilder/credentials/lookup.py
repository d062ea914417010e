"""The credentials for one destination, sought when its registry asks for them."""

from __future__ import annotations

from dataclasses import dataclass, field

from idpbuilder.credentials.credential_helper import Helper
from idpbuilder.credentials.docker_config import Candidate
from idpbuilder.credentials.surroundings import Surroundings
from idpbuilder.errors import CredentialHelperFailed, UsageError
from idpbuilder.registry.credentials import Credentials

GIVEN = "flags or variables"
"""The source of what the user gave with the command."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """What there is to try for `registry`, and what the user gave to go with it.

    Two are equal where they come to the same, whatever the repository: then one session serves
    both. `warnings` are given when it is called: nobody minds a broken file that nobody needs.
    """

    registry: str
    candidates: tuple[Candidate, ...] = ()
    username: str = ""
    password: str = field(default="", repr=False)
    warnings: tuple[str, ...] = ()
    surroundings: Surroundings = field(default=Surroundings({}), compare=False, repr=False)

    def __call__(self) -> Credentials | None:
        """The credentials; None where there are none. May run helpers, and take their time.

        Raises UsageError where what the user gave cannot be completed, CredentialHelperFailed
        where a helper fails and there are no others that know.
        """
        for warning in self.warnings:
            self.surroundings.warn(warning)
        found = self._found()
        if self.password:
            return self._with_password(found)
        if self.username and (found is None or found.username != self.username):
            raise UsageError(
                f"user `{self.username}` has no password for `{self.registry}`",
                hint="give it with `--password-stdin`, `--password` or "
                "IDPBUILDER_REGISTRY_PASSWORD, or leave out the user name",
            )
        return found

    @property
    def is_at_hand(self) -> bool:
        """Whether no helper needs to run for the outcome."""
        return not self.candidates or not isinstance(self.candidates[0], Helper)

    def _found(self) -> Credentials | None:
        failures: list[CredentialHelperFailed] = []
        for candidate in self.candidates:
            try:
                found = self._kept(candidate)
            except CredentialHelperFailed as error:
                # docker and podman go on, too: another store may know
                failures.append(error)
                continue
            if found:
                for failure in failures:
                    self.surroundings.warn(failure.message)
                return found
        if failures:
            raise failures[0]
        return None

    def _kept(self, candidate: Candidate) -> Credentials | None:
        if isinstance(candidate, Helper):
            return candidate.ask(self.surroundings)
        return candidate

    def _with_password(self, found: Credentials | None) -> Credentials:
        username = self.username or (found.username if found else "")
        if not username:
            raise UsageError(
                f"the password for `{self.registry}` has no user name",
                hint="give it with `--username` or IDPBUILDER_REGISTRY_USER",
            )
        return Credentials(GIVEN, username, self.password)
