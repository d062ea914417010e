"""Docker's `config.json`, and the files of the same form that podman and others write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from idpbuilder.credentials.credential_helper import Helper, is_helper_name
from idpbuilder.credentials.entry import read_entry
from idpbuilder.credentials.keys import keys_for, server_key
from idpbuilder.credentials.unusable import Unusable
from idpbuilder.image import InvalidValue
from idpbuilder.image.manifest import parse_object
from idpbuilder.registry.credentials import Credentials

Candidate = Credentials | Helper
"""What a store has to say: credentials, or a program to ask for them."""


@dataclass(frozen=True, slots=True)
class DockerConfig:
    """What stands in a file that the user knows as `shown`. No secret is in the repr."""

    shown: str
    auths: Mapping[str, object]
    cred_helpers: Mapping[str, object]
    creds_store: str = ""

    @classmethod
    def parse(cls, data: bytes, shown: str, *, auths_only: bool = False) -> DockerConfig:
        """The content of a file; blank is an empty one. Raises Unusable."""
        if not data.strip():
            return cls(shown, {}, {})
        try:
            content = parse_object(data)
        except InvalidValue as error:
            raise Unusable(f"it {error}") from error
        auths = _object(content, "auths")
        if auths_only:
            return cls(shown, auths, {})
        store = content.get("credsStore") or ""
        if not isinstance(store, str):
            raise Unusable("its `credsStore` is no string")
        return cls(shown, auths, _object(content, "credHelpers"), store)

    def __repr__(self) -> str:
        return f"DockerConfig({self.shown!r})"

    def candidates(self, registry: str, repository: str) -> tuple[Candidate, ...]:
        """What to try in turn for `repository` in `registry`; the first hit counts.

        A helper for this very registry, else the helper for all; it is asked for the registry
        alone. Then `auths`, most specific key first. Raises Unusable.
        """
        helper = self._helper(registry)
        kept = tuple(self._kept(registry, repository))
        return (helper, *kept) if helper else kept

    def _helper(self, registry: str) -> Helper | None:
        server = server_key(registry)
        for key in keys_for(self.cred_helpers, registry, ""):
            name = self.cred_helpers[key]
            if not isinstance(name, str):
                raise Unusable(f"the helper for `{key}` is no string")
            # one without a name takes this registry out of `credsStore`, as with docker
            return self._named(name, server, f"`credHelpers` for `{key}`") if name else None
        if self.creds_store:
            return self._named(self.creds_store, server, "`credsStore`", may_be_missing=True)
        return None

    def _named(self, name: str, server: str, where: str, *, may_be_missing: bool = False) -> Helper:
        if not is_helper_name(name):
            raise Unusable(f"its {where} names no helper")
        return Helper(name, server, self.shown, may_be_missing)

    def _kept(self, registry: str, repository: str) -> Iterator[Credentials]:
        for key in keys_for(self.auths, registry, repository):
            credentials = read_entry(self.shown, key, self.auths[key])
            if credentials is not None:
                yield credentials
                return


def _object(content: Mapping[str, object], name: str) -> Mapping[str, object]:
    value = content.get(name)
    if value is not None and not isinstance(value, dict):
        raise Unusable(f"its `{name}` is no JSON object")
    return value or {}
