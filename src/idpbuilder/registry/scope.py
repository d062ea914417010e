"""Scopes of access tokens, `repository:NAME:ACTIONS` (distribution's token scope documentation)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scope:
    """Rights to one resource, as they are spelled in requests and challenges."""

    text: str

    @classmethod
    def push(cls, repository: str) -> Scope:
        """What a push into `repository` needs."""
        return cls(f"repository:{repository}:pull,push")

    @classmethod
    def pull(cls, repository: str) -> Scope:
        """What a mount needs of the repository it takes a blob from."""
        return cls(f"repository:{repository}:pull")

    @classmethod
    def delete(cls, repository: str) -> Scope:
        """What closing an upload session may need."""
        return cls(f"repository:{repository}:delete")

    @property
    def rights(self) -> frozenset[tuple[str, str]]:
        """The pairs of resource and action that it means, whatever their order."""
        resource, separator, actions = self.text.rpartition(":")
        if not separator:
            return frozenset({("", self.text)})
        return frozenset((resource, action) for action in actions.split(",") if action)


Rights = frozenset[tuple[str, str]]


def rights_of(scopes: Iterable[Scope]) -> Rights:
    """The rights of all `scopes` together: what a token is kept under."""
    return frozenset(right for scope in scopes for right in scope.rights)


def split_scopes(text: str) -> tuple[Scope, ...]:
    """The scopes in a challenge's `scope` parameter, in their order."""
    return tuple(Scope(part) for part in text.split())
