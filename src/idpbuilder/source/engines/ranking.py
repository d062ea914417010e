"""Which of an engine's images a push means that names none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from idpbuilder.image import InvalidValue, Reference
from idpbuilder.source.called import repository
from idpbuilder.source.engines.engine import Details, Moment

_FIRST_USABLE = 347_155_200
"""1981 in seconds since 1970: what builds reproducibly says 1970, or 1980, or the year 1."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A tagged image; `own_digest` as in `Listed`."""

    details: Details
    names: tuple[Reference, ...]
    own_digest: str = ""


class Undecided(Exception):
    """Each of `candidates` may be meant; `why` says what they have in common."""

    def __init__(self, why: str, candidates: Sequence[Candidate]) -> None:
        super().__init__(why)
        self.why = why
        self.candidates = tuple(candidates)


def choose(candidates: Sequence[Candidate]) -> Candidate:
    """The one that is meant: of those that were neither pulled nor pushed the one that was tagged
    last. Raises Undecided, also where that one may have been pulled and another was not.
    """
    group = [one for one in candidates if not _is_elsewhere(one)] or list(candidates)
    group = [one for one in group if not _is_a_base(one, group)]
    found = _latest(group)
    if _may_be_elsewhere(found) and not all(map(_may_be_elsewhere, group)):
        raise Undecided("there is no telling whether the latest was built or pulled", group)
    return found


def _latest(group: Sequence[Candidate]) -> Candidate:
    if len(group) == 1:
        return group[0]
    dated = [(when, one) for one in group if (when := _date(one.details)) is not None]
    if len(dated) < len(group):
        undated = [one for one in group if _date(one.details) is None]
        raise Undecided("there is no telling when they were made", [*undated, *_rest(dated)])
    newest = max(when for when, _ in dated)
    latest = [one for when, one in dated if when == newest]
    if len(latest) > 1:
        raise Undecided("they were made at the same moment", latest)
    return latest[0]


def _rest(dated: Sequence[tuple[Moment, Candidate]]) -> list[Candidate]:
    return [one for _, one in sorted(dated, key=lambda item: item[0], reverse=True)]


def _is_elsewhere(one: Candidate) -> bool:
    """Whether it was pulled, or pushed before, under one of its names."""
    if one.details.pulls is not None:
        own = {repository(name) for name in one.names}
        return any(_repository_of(text) in own for text in one.details.pulls)
    # an engine that keeps manifests has a digest for everything; only another one tells of a pull
    return any(digest != one.own_digest for digest in _digests(one))


def _may_be_elsewhere(one: Candidate) -> bool:
    """Whether there is no telling that it was built here, by an engine that keeps manifests.

    A pull for one platform leaves there what a build does. But nothing is pulled from `localhost/`,
    where that engine puts what is built without a registry's name.
    """
    if one.details.pulls is not None or not one.own_digest or any(map(_is_local, one.names)):
        return False
    return bool(_digests(one))


def _digests(one: Candidate) -> list[str]:
    """Its digests in those of its own repositories that it may have been pulled from."""
    keeps_manifests = bool(one.own_digest)
    own = {repository(name) for name in one.names if not (keeps_manifests and _is_local(name))}
    parts = [text.rpartition("@") for text in one.details.digests]
    return [digest for name, _, digest in parts if _repository_of(name) in own]


def _is_local(name: Reference) -> bool:
    return bool(name.registry) and not name.local_name_dropped().registry


def _repository_of(text: str) -> tuple[str, str] | None:
    try:
        return repository(Reference.parse(text))
    except InvalidValue:
        return None


def _is_a_base(one: Candidate, group: Sequence[Candidate]) -> bool:
    """Whether another was built on it, where only the dates of creation could tell their order.

    Those may lie, and a base is never younger than what stands on it.
    """
    layers = one.details.diff_ids
    if _usable(one.details.tagged) or not layers:
        return False
    others = (other.details.diff_ids for other in group)
    return any(len(above) > len(layers) and above[: len(layers)] == layers for above in others)


def _date(image: Details) -> Moment | None:
    if _usable(image.tagged):
        return image.tagged
    return image.created if _usable(image.created) else None


def _usable(when: Moment | None) -> bool:
    return when is not None and when[0] >= _FIRST_USABLE
