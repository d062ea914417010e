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
    last. Raises Undecided.
    """
    group = [one for one in candidates if not _is_elsewhere(one)] or list(candidates)
    group = [one for one in group if not _is_a_base(one, group)]
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
    own = {repository(name) for name in one.names}
    if one.details.pulls is not None:
        return any(_repository_of(text) in own for text in one.details.pulls)
    # an engine that keeps manifests has a digest for everything; only another one tells of a pull
    digests = [text.rpartition("@") for text in one.details.digests]
    return any(
        digest != one.own_digest and _repository_of(name) in own for name, _, digest in digests
    )


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
