"""The bounds on what comes from outside, for `docs/generate.py`: each is read from the code."""

from __future__ import annotations

from importlib import import_module
from typing import Any

# what is bounded, the unit, and where the number stands
LIMITS: tuple[tuple[str, str, str], ...] = (
    ("a manifest or index", "bytes", "image.manifest:DOCUMENT_LIMIT"),
    ("an image config that is read", "bytes", "image.manifest:CONFIG_LIMIT"),
    ("indexes within indexes", "levels", "source.tree:_DEPTH_LIMIT"),
    ("manifests and layers of an image", "", "source.tree:_DESCRIPTOR_LIMIT"),
    ("layers that a docker-archive names", "", "source.docker_archive:_LAYERS_LIMIT"),
    ("an `oci-layout` file", "bytes", "source.files:_LAYOUT_FILE_LIMIT"),
    ("members of an archive", "", "source.archive:_MEMBER_LIMIT"),
    ("an extended header of an archive", "bytes", "source.archive:_HEADER_LIMIT"),
    ("a member's name", "characters", "source.archive:_NAME_LIMIT"),
    ("links that lead from one name to its file", "", "source.archive:_LINK_LIMIT"),
    ("an answer's header lines", "", "transport.answer:LINES_LIMIT"),
    ("an answer's head", "bytes", "transport.answer:HEAD_LIMIT"),
    ("an answer's body beyond what is kept", "bytes", "transport.answer:SURPLUS_LIMIT"),
    ("a token service's answer", "bytes", "registry.token:_ANSWER_LIMIT"),
    ("what is shown of an error's text", "characters", "registry.failure:_TEXT_LIMIT"),
    ("a Retry-After that is obeyed", "seconds", "registry.retry:RETRY_AFTER_LIMIT"),
    ("an engine's answer, exports apart", "bytes", "source.engines.api:_ANSWER_LIMIT"),
    ("a file with credentials", "bytes", "credentials.reading:FILE_LIMIT"),
    ("what a credential helper prints", "bytes", "credentials.program:OUT_LIMIT"),
    ("a list of images", "bytes", "cli.listed:LIMIT"),
    ("spans and phases of a trace", "", "push.trace:LIMIT"),
    ("a document that is remembered", "bytes", "memory.memory:LARGEST"),
    ("what is remembered and not used", "seconds", "memory.tables:KEPT_SECONDS"),
    ("an upload session that is gone on with", "seconds", "memory.tables:DAY"),
    ("a registry's size limit that is remembered", "seconds", "memory.memory:LIMIT_SECONDS"),
    (
        "a connection that is being made",
        "seconds",
        "transport.settings:EngineSettings.connect_seconds",
    ),
    (
        "a body or an answer that stands still",
        "seconds",
        "transport.settings:EngineSettings.stall_seconds",
    ),
    (
        "an answer that does not begin",
        "seconds",
        "transport.settings:EngineSettings.answer_seconds",
    ),
)


def limits() -> list[tuple[str, str]]:
    """What is bounded, and by how much."""
    return [(what, _written(_found(place), unit)) for what, unit, place in LIMITS]


def _found(place: str) -> float:
    module, _, names = place.partition(":")
    found: Any = import_module(f"idpbuilder.{module}")
    if "." in names:
        kind, names = names.split(".")
        found = getattr(found, kind)()
    number = getattr(found, names)
    assert isinstance(number, int | float), place
    return number


def _written(number: float, unit: str) -> str:
    if unit == "bytes":
        for size, name in ((1024**2, "MiB"), (1024, "KiB")):
            if number >= size:
                return f"{number / size:g} {name}"
    if unit == "seconds" and number >= 86400:
        days = number / 86400
        return f"{days:g} day{'s' if days > 1 else ''}"
    return f"{number:,.0f} {unit}".strip()
