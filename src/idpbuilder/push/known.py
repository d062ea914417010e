"""Where the blobs of one registry are, as far as this run has seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field

from idpbuilder.image import Digest


@dataclass(slots=True)
class Known:
    """Where blobs of this registry are, as far as this run has seen: digest to repositories.

    `under_way` counts who is bringing which into a repository, and `into` holds which into which:
    two uploads of one blob into one repository would be in each other's way. `mounts` is False
    once the registry did not mount what it has.
    """

    repositories: dict[Digest, list[str]] = field(default_factory=dict)
    under_way: Counter[Hashable] = field(default_factory=Counter)
    into: set[tuple[Hashable, str]] = field(default_factory=set)
    mounts: bool = True

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

    def can_be_had(self, digest: Digest) -> bool:
        """Whether a repository of this registry holds `digest`, and lets others have it."""
        return self.mounts and bool(self.repositories.get(digest))

    def begin(self, blob: Hashable, repository: str) -> None:
        """Someone brings a blob into a repository; nobody else does."""
        self.under_way[blob] += 1
        self.into.add((blob, repository))

    def end(self, blob: Hashable, repository: str) -> None:
        """It is there, or given up."""
        self.under_way[blob] -= 1
        if not self.under_way[blob]:
            del self.under_way[blob]
        self.into.discard((blob, repository))

    def is_awaited(self, blob: Hashable, digest: Digest, repository: str) -> bool:
        """Whether someone is bringing `blob`, and `repository` cannot have `digest` before."""
        if (blob, repository) in self.into:
            return True
        return blob in self.under_way and not self.can_be_had(digest)
