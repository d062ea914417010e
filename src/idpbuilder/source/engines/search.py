"""Looking for images in the container engines of this machine: by name, or by what was built last.

`find_in_engines` serves an IMAGE argument, `detect` a push without one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TypeVar

from idpbuilder.errors import ImageNotFound, ImageUnreadable, SourceError
from idpbuilder.source.called import parsed, pushed
from idpbuilder.source.engines.asked import EngineQuery, Match, Question
from idpbuilder.source.engines.engine import ContainerEngine, EngineTrouble
from idpbuilder.source.engines.exported import FoundImage
from idpbuilder.source.engines.fetched import Access, Holder
from idpbuilder.source.engines.places import Kind, Place, distinct, places
from idpbuilder.source.engines.ranking import Candidate, Undecided, choose
from idpbuilder.source.files import listed

T = TypeVar("T")
_KINDS = {"docker-daemon": (Kind.DOCKER,), "podman": (Kind.PODMAN,)}
_ALL_KINDS = (Kind.DOCKER, Kind.PODMAN)
_NAME_ONE = "name one of them: "


def find_in_engines(query: EngineQuery, access: Access) -> tuple[FoundImage, ...]:
    """The images that `query` means, from the first engine that has them; never none.

    It is one image, but for `all_tags`. Docker's engines are asked before podman's. Raises
    ImageNotFound, which tells where was looked, ImageUnreadable where an engine that the
    environment names does not answer, UsageError for a tag beside `all_tags`.
    """
    question = Question(query, access.surroundings.registry)
    search = _Search(access)
    found = places(access.surroundings.environ)
    kinds = _KINDS.get(query.transport, _ALL_KINDS)
    for place in distinct(place for kind in kinds for place in found if place.kind is kind):
        asked = search.ask(place, "no such image", lambda engine: question.matches(engine) or None)
        if asked is not None:
            engine, matches = asked
            holder = Holder(place, engine, access)
            return tuple(_named(match, holder) for match in matches)
    near = f"there is {listed(question.near)}" if question.near else ""
    raise search.nothing(f"no such image `{query.text}`", near)


def detect(access: Access) -> FoundImage:
    """The image that was tagged last in the first engine that has a tagged one.

    Raises ImageNotFound where there is nothing, or no telling which is meant, ImageUnreadable as
    above.
    """
    search = _Search(access)
    for place in distinct(places(access.surroundings.environ)):
        asked = search.ask(place, "no tagged image", lambda engine: _candidates(engine) or None)
        if asked is not None:
            engine, candidates = asked
            return _latest(candidates, Holder(place, engine, access))
    raise search.nothing("there is no image to push", "")


def _named(match: Match, holder: Holder) -> FoundImage:
    note = f"`{match.label}` is {match.details.id} in {holder.place.label}"
    holder.access.surroundings.note(note)
    return FoundImage(match.label, match.names, match.details, holder)


class _Search:
    """One engine after the other, and why it was none of them."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._looked: list[tuple[str, str]] = []
        self._hints: list[str] = []

    def ask(
        self, place: Place, nothing: str, question: Callable[[ContainerEngine], T | None]
    ) -> tuple[ContainerEngine, T] | None:
        """The engine at `place` and its answer; None, which is kept for later, where it has none.

        Raises ImageUnreadable where the user named the engine and it does not answer.
        """
        self._access.check()
        try:
            engine = self._reach(place)
            answer = question(engine)
        except EngineTrouble as trouble:
            if place.explicit:
                raise ImageUnreadable(
                    f"the container engine of {place.label} cannot be used",
                    trouble.why,
                    trouble.hint or "start the engine, or name another one or none at all",
                ) from trouble
            self._pass_by(place, trouble.why, trouble.hint)
            return None
        if answer is None:
            self._pass_by(place, nothing, "")
            return None
        return engine, answer

    def _reach(self, place: Place) -> ContainerEngine:
        access = self._access
        if place.trouble:
            raise EngineTrouble(place.trouble, place.hint)
        if place.command:
            from idpbuilder.source.engines.podman import PodmanCommand

            return PodmanCommand(access.surroundings.environ, access.check).connect()
        from idpbuilder.source.engines.api import EngineApi

        return EngineApi(place, access.surroundings.engine, access.check).connect()

    def _pass_by(self, place: Place, why: str, hint: str) -> None:
        self._access.surroundings.note(f"{place.label}: {why}")
        self._looked.append((place.label, why))
        if hint:
            self._hints.append(hint)

    def nothing(self, what: str, hint: str) -> SourceError:
        """The error that says so, and where was looked."""
        hints = [hint, *self._hints, "build it, start its engine, or name a layout or an archive"]
        runs = itertools.groupby(self._looked, key=lambda item: item[1])
        looked = [f"{', '.join(label for label, _ in run)} ({why})" for why, run in runs]
        return ImageNotFound(
            what, f"looked at {'; '.join(looked)}", next(one for one in hints if one)
        )


# -- the image that is meant


def _candidates(engine: ContainerEngine) -> list[Candidate]:
    tagged = {one.id: one for one in engine.images() if parsed(one.tags)}
    found = engine.inspect_all(list(tagged))
    # what was tagged anew meanwhile counts as it is now
    named = [(one, parsed(one.tags)) for one in found if one.id in tagged]
    return [Candidate(one, names, tagged[one.id].own_digest) for one, names in named if names]


def _latest(candidates: Sequence[Candidate], holder: Holder) -> FoundImage:
    place, surroundings = holder.place, holder.access.surroundings
    try:
        chosen = choose(candidates)
    except Undecided as undecided:
        several = [str(name) for one in undecided.candidates for name in one.names]
        raise ImageNotFound(
            f"no image of {place.label} can be chosen", undecided.why, _NAME_ONE + listed(several)
        ) from undecided
    registry = surroundings.registry
    names = pushed(chosen.names, registry)
    if not names:
        raise ImageNotFound(
            f"the latest image has no tag for `{registry}`",
            f"it is called {listed(map(str, chosen.names))}",
            "name the image that you want to push, or leave the registry out",
        )
    count = f"the latest of {len(candidates)} images" if len(candidates) > 1 else "the only image"
    reason = f"{count} in {place.label}"
    surroundings.note(f"`{names[0]}` is chosen: {reason}")
    return FoundImage(str(names[0]), names, chosen.details, holder, reason)
