"""Platforms, `os/arch[/variant]` (OCI image specification, image-index.md)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from idpbuilder.image.invalid import InvalidValue

_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")
_ARCHITECTURES = {
    "x86_64": "amd64",
    "x86-64": "amd64",
    "aarch64": "arm64",
    "armhf": "arm",
    "armel": "arm",
    "i386": "386",
}
_SYSTEMS = {"macos": "darwin"}


@dataclass(frozen=True, slots=True)
class Platform:
    """An operating system, an architecture and perhaps its variant, in their usual spelling."""

    os: str
    architecture: str
    variant: str = ""

    @classmethod
    def parse(cls, text: str) -> Platform:
        """The platform that `text` spells, as in `linux/arm64/v8`. Raises InvalidValue."""
        parts = text.split("/")
        if len(parts) not in (2, 3) or not all(_PART.match(part) for part in parts):
            raise InvalidValue(f"`{text}` is not of the form os/arch[/variant]")
        return cls.normal(*parts)

    @classmethod
    def of(cls, document: Mapping[str, object]) -> Platform | None:
        """The platform in a descriptor or an image config; None where none is named."""
        system, architecture = document.get("os"), document.get("architecture")
        variant = document.get("variant", "")
        if not isinstance(system, str) or not isinstance(architecture, str) or not architecture:
            return None
        return cls.normal(system, architecture, variant if isinstance(variant, str) else "")

    @classmethod
    def normal(cls, system: str, architecture: str, variant: str = "") -> Platform:
        """The same in its usual spelling: `aarch64` is `arm64`, and so is `arm64/v8`."""
        system, architecture, variant = system.lower(), architecture.lower(), variant.lower()
        if variant.isdigit():
            variant = f"v{variant}"
        if architecture == "armel" and not variant:
            variant = "v6"
        architecture = _ARCHITECTURES.get(architecture, architecture)
        if (architecture, variant) in (("arm64", "v8"), ("amd64", "v1")):
            variant = ""
        return cls(_SYSTEMS.get(system, system), architecture, variant)

    def offered_by(self, other: Platform | None) -> int:
        """How well `other` serves one who asks for this platform: 0 not at all, higher is better.

        A variant that was asked for must be met; without one, the plain platform is best, then
        `arm/v7` for `arm`, then any other.
        """
        if other is None or (self.os, self.architecture) != (other.os, other.architecture):
            return 0
        if self.variant == other.variant:
            return 3
        if self.variant:
            return 0
        return 2 if (other.architecture, other.variant) == ("arm", "v7") else 1

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)
