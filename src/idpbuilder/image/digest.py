"""Content digests, `algorithm:encoded` (OCI image specification, descriptor.md, Digests)."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from idpbuilder.image.invalid import InvalidValue

_ENCODED_LENGTH = {"sha256": 64, "sha512": 128}
_HEX = re.compile(r"[0-9a-f]+\Z")


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """A digest whose algorithm is known and whose encoding is lower-case hex of its length.

    So `encoded` is safe as a file name and in a URL.
    """

    algorithm: str
    encoded: str

    @classmethod
    def parse(cls, text: object) -> Digest:
        """The digest that `text` spells. Raises InvalidValue."""
        if not isinstance(text, str):
            raise InvalidValue("a digest must be a string")
        algorithm, separator, encoded = text.partition(":")
        length = _ENCODED_LENGTH.get(algorithm)
        if not separator or length is None:
            raise InvalidValue(f"`{text[:200]}` is no sha256 or sha512 digest")
        if len(encoded) != length or not _HEX.match(encoded):
            raise InvalidValue(
                f"`{text[:200]}` is not {algorithm} and {length} lower-case hex digits"
            )
        return cls(algorithm, encoded)

    @classmethod
    def of(cls, data: bytes, algorithm: str = "sha256") -> Digest:
        """The digest of `data`."""
        return cls(algorithm, hashlib.new(algorithm, data).hexdigest())

    def matches(self, data: bytes) -> bool:
        """Whether `data` has this digest."""
        return self == Digest.of(data, self.algorithm)

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.encoded}"
