"""Docker's `config.json`, and the files of the same form that podman and others write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from idpbuilder.credentials.credential_helper import Helper, is_helper_name
from idpbuilder.credentials.entry import read_entry
from idpbuilder.credentials.json_object import first_object
from idpbuilder.credentials.keys import keys_for, servers
from idpbuilder.credentials.unusable import Unusable
from idpbuilder.image import InvalidValue
from idpbuilder.registry.credentials import Credentials

Candidate = Credentials | Helper
"""What a store has to say: credentials, or a program to ask for them."""


class Form(Enum):
    """Whose file it is: how much of it counts, and what its keys mean."""

    DOCKER = "docker's"
    PODMAN = "podman's, whose keys may name a repository"
    AUTHS_ONLY = "docker's, of which `auths` alone is read"
    OLD = "docker's of old, which is nothing but `auths`"


@dataclass(frozen=True, slots=True)
class DockerConfig:
    """What stands in a file that the user knows as `shown`. No secret is in the repr."""

    shown: str
    form: Form
    auths: Mapping[str, object]
    cred_helpers: Mapping[str, object]
    creds_store: str = ""

    @classmethod
    def parse(cls, data: bytes, shown: str, form: Form = Form.PODMAN) -> DockerConfig:
        """The content of a file; blank is an empty one. Raises Unusable."""
        try:
            content = first_object(data) if data.strip() else {}
        except InvalidValue as error:
            raise Unusable(f"it {error}") from error
        if form is Form.OLD:
            return cls(shown, form, content, {})
        auths = _object(content, "auths")
        if form is Form.AUTHS_ONLY:
            return cls(shown, form, auths, {})
        store = content.get("credsstore") or ""
        if not isinstance(store, str):
            raise Unusable("its `credsStore` is no string")
        return cls(shown, form, auths, _object(content, "credHelpers"), store)

    def __repr__(self) -> str:
        return f"DockerConfig({self.shown!r})"

    @property
    def is_empty(self) -> bool:
        """Whether nobody ever signed in with it, or said where secrets are kept."""
        return not (self.auths or self.cred_helpers or self.creds_store)

    def candidates(self, registry: str, repository: str) -> tuple[Candidate, ...]:
        """What to try in turn for `repository` in `registry`; the first hit counts.

        A helper for this very registry, else the helper for all; it is asked for the registry
        alone. Then `auths`, most specific key first. Raises Unusable.
        """
        helper = self._helper(registry)
        kept = tuple(self._kept(registry, repository))
        return (helper, *kept) if helper else kept

    def _helper(self, registry: str) -> Helper | None:
        for key in keys_for(self.cred_helpers, registry, ""):
            name = self.cred_helpers[key]
            if not isinstance(name, str):
                raise Unusable(f"the helper for `{key}` is no string")
            # one without a name takes this registry out of `credsStore`, as with docker
            return self._named(name, registry, f"`credHelpers` for `{key}`") if name else None
        if self.creds_store:
            return self._named(self.creds_store, registry, "`credsStore`", may_be_missing=True)
        return None

    def _named(
        self, name: str, registry: str, where: str, *, may_be_missing: bool = False
    ) -> Helper:
        if not is_helper_name(name):
            raise Unusable(f"its {where} names no helper")
        return Helper(name, servers(registry), self.shown, may_be_missing)

    def _kept(self, registry: str, repository: str) -> Iterator[Credentials]:
        whole_hosts = self.form in (Form.DOCKER, Form.OLD)
        for key in keys_for(self.auths, registry, repository, whole_hosts=whole_hosts):
            credentials = read_entry(self.shown, key, self.auths[key])
            if credentials is not None:
                yield credentials
                return


def _object(content: Mapping[str, object], name: str) -> Mapping[str, object]:
    value = content.get(name.lower())
    if value is not None and not isinstance(value, dict):
        raise Unusable(f"its `{name}` is no JSON object")
    return value or {}
