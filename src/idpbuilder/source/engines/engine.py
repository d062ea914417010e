"""What every container engine is asked, and what it answers, whichever way it is reached."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from idpbuilder.image import Digest, InvalidValue, Platform
from idpbuilder.wire import Sink

Moment = tuple[int, int]
"""Seconds since 1970, and nanoseconds."""
_MESSAGE_LENGTH = 300


class EngineTrouble(Exception):
    """An engine that does not do what it is asked: why, and what the user can do about it."""

    def __init__(self, why: str, hint: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Listed:
    """An image as an engine lists it: its ID and its tags as they are written there.

    `own_digest` is its manifest's, from an engine that keeps manifests, else "".
    """

    id: Digest
    tags: tuple[str, ...]
    own_digest: str = ""


@dataclass(frozen=True, slots=True)
class Details:
    """All that an engine tells of an image.

    `digests` are `repository@digest` of where it was pulled from or pushed to; an engine that keeps
    manifests lists what was built there, too. `pulls` are those repositories without that, None
    from an engine that does not tell. `tagged` is when it was last tagged.
    """

    id: Digest
    tags: tuple[str, ...]
    digests: tuple[str, ...] = ()
    pulls: tuple[str, ...] | None = None
    created: Moment | None = None
    tagged: Moment | None = None
    diff_ids: tuple[Digest, ...] = ()
    platform: Platform | None = None


class ContainerEngine(Protocol):
    """An engine that answered. Every method raises EngineTrouble."""

    @property
    def chooses_platforms(self) -> bool:
        """Whether one of its images may serve several platforms."""

    @property
    def dialect(self) -> str:
        """What it speaks: exports of one image are the same as long as that is."""

    def images(self) -> list[Listed]:
        """The images that it has, dangling ones too."""

    def inspect(self, name: str) -> Details | None:
        """The image that the engine takes `name` for; None where there is none."""

    def inspect_all(self, ids: Sequence[Digest]) -> list[Details]:
        """The images with these IDs, in this order; those that are gone meanwhile are left out."""

    def export(self, ids: Sequence[Digest], platform: Platform | None, sink: Sink) -> None:
        """Write the images, as `docker save` does, to `sink`. What that raises is raised."""


def listed(value: object) -> Listed | None:
    """The image in one object of a list; None for what is no such object."""
    if not isinstance(value, dict):
        return None
    image_id = _digest(value.get("Id"))
    tags = _texts(value.get("RepoTags")) or _texts(value.get("Names"))
    own = value.get("Digest")
    digest = own if isinstance(own, str) else ""
    return Listed(image_id, _tags(tags), digest) if image_id else None


def details(value: object) -> Details | None:
    """The image that an inspection tells of; None for what is no such object."""
    if not isinstance(value, dict):
        return None
    image_id = _digest(value.get("Id"))
    if image_id is None:
        return None
    metadata, rootfs = _object(value.get("Metadata")), _object(value.get("RootFS"))
    diff_ids = [_digest(text) for text in _texts(rootfs.get("Layers"))]
    return Details(
        image_id,
        _tags(_texts(value.get("RepoTags"))),
        _texts(value.get("RepoDigests")),
        _pulls(value.get("Identity")),
        moment(value.get("Created")),
        moment(metadata.get("LastTagTime")),
        tuple(one for one in diff_ids if one is not None),
        Platform.of({key.lower(): item for key, item in value.items()}),
    )


def moment(text: object) -> Moment | None:
    """The moment of an RFC 3339 date with up to nine places; None for what is none."""
    from datetime import datetime, timezone

    if not isinstance(text, str):
        return None
    date, rest = text[:19], text[19:]
    digits = ""
    if rest.startswith("."):
        digits = rest[1:10]
        digits = digits[: len(digits) - len(digits.lstrip("0123456789"))]
        rest = rest[1 + len(digits) :].lstrip("0123456789")
    zone = "+00:00" if rest in ("Z", "z") else rest
    try:
        when = datetime.fromisoformat(date + zone)
    except ValueError:
        return None
    if when.tzinfo is None:
        return None
    since = when - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return since.days * 86400 + since.seconds, int(digits.ljust(9, "0") or "0")


def sentence(text: str) -> str:
    """An engine's message as part of one of ours: one line, not too long, no full stop."""
    line = " ".join(text.split()).rstrip(".")
    return line if len(line) <= _MESSAGE_LENGTH else f"{line[:_MESSAGE_LENGTH]}…"


Check = Callable[[], None]
"""Called at least four times a second while something is waited for; may raise."""


def _digest(text: object) -> Digest | None:
    if not isinstance(text, str):
        return None
    try:
        # the podman command leaves the algorithm out
        return Digest.parse(text if ":" in text else f"sha256:{text}")
    except InvalidValue:
        return None


def _tags(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(text for text in texts if "<none>" not in text)


def _texts(value: object) -> tuple[str, ...]:
    items = value if isinstance(value, list) else []
    return tuple(item for item in items if isinstance(item, str))


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _pulls(identity: object) -> tuple[str, ...] | None:
    if not isinstance(identity, dict):
        return None
    pulls = identity.get("Pull")
    places = [_object(one).get("Repository") for one in pulls] if isinstance(pulls, list) else []
    return tuple(text for text in places if isinstance(text, str))
