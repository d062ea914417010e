"""Where the blobs of one registry are, as far as this run has seen."""

from __future__ import annotations

from dataclasses import dataclass, field

from idpbuilder.image import Digest


@dataclass(slots=True)
class Known:
    """Where blobs of this registry are, as far as this run has seen: digest to repositories.

    `under_way` are those that someone is bringing into a repository. Whoever needs one of them
    elsewhere waits, and then has it mounted.
    """

    repositories: dict[Digest, list[str]] = field(default_factory=dict)
    under_way: set[Digest] = field(default_factory=set)

    def add(self, digest: Digest, repository: str) -> None:
        """`repository` holds `digest`."""
        places = self.repositories.setdefault(digest, [])
        if repository not in places:
            places.append(repository)

    def has(self, digest: Digest, repository: str) -> bool:
        """Whether `repository` was seen to hold `digest`."""
        return repository in self.repositories.get(digest, ())

    def forget(self, digest: Digest, repository: str) -> None:
        """`repository` turned out not to hold `digest`, or to have lost it."""
        places = self.repositories.get(digest, [])
        if repository in places:
            places.remove(repository)

    def elsewhere(self, digest: Digest, repository: str) -> str | None:
        """Another repository of this registry that holds `digest`."""
        return next(
            (place for place in self.repositories.get(digest, ()) if place != repository), None
        )
