"""What came of a push to one destination."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from idpbuilder.errors import PushError
from idpbuilder.image import Descriptor, Digest, Reference


class BlobStatus(Enum):
    """How a blob or a manifest came to be in the repository; `WOULD_…` are a dry run's."""

    PUSHED = "pushed"
    EXISTS = "exists"
    MOUNTED = "mounted"
    WOULD_PUSH = "would-push"
    WOULD_MOUNT = "would-mount"


@dataclass(frozen=True, slots=True)
class LayerResult:
    """One distinct layer; `size` in bytes, `seconds` spent on it."""

    digest: Digest
    size: int
    status: BlobStatus
    seconds: float
    mounted_from: str = ""


@dataclass(frozen=True, slots=True)
class PushResult:
    """An image that is in the registry under `reference`.

    `size` sums the image's distinct blobs and manifests, `bytes_sent` the payload bytes that went
    out for this destination, repeats included. `unchanged`: it was there before.
    `platforms` are spelled `os/arch[/variant]`.
    """

    image: str
    reference: Reference
    root: Descriptor
    size: int
    platforms: tuple[str, ...]
    layers: tuple[LayerResult, ...]
    bytes_sent: int
    requests: int
    retries: int
    seconds: float
    dry_run: bool = False
    unchanged: bool = False


@dataclass(frozen=True, slots=True)
class PushFailure:
    """A destination that was not reached. `reference` is None where the failure came before one was
    known; `image` is "" where nobody named one and none was found.
    """

    image: str
    reference: Reference | None
    error: PushError


Outcome = PushResult | PushFailure
