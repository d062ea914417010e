"""The local side of a blob: its bytes, and whether they are still what they were."""

from __future__ import annotations

import os
import threading

from idpbuilder.errors import ImageChanged, ImageInvalid, ImageUnreadable, PushError
from idpbuilder.image import Digest
from idpbuilder.native import digest_region, fingerprint_region
from idpbuilder.push.tasks import Sleep, Steps
from idpbuilder.registry.retry import Setback
from idpbuilder.wire import BodyReader, Region, RegionBody

_LOOK_EVERY = 0.02


class LocalBlob:
    """A blob in a local file, fit to be a request's body; its fingerprint is taken when it is first
    opened.
    """

    def __init__(self, digest: Digest, region: Region) -> None:
        self.digest = digest
        self.region = region
        self._fingerprint: int | None = None
        self._is_sound = False

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self.region.size

    def open(self, start: int = 0) -> BodyReader:
        """A reader at the byte `start`. Raises OSError, EOFError where the file is too short."""
        self.fingerprint()
        return RegionBody(self.region).open(start)

    def fingerprint(self) -> int:
        """What tells whether the bytes are what they were. Raises OSError, EOFError."""
        if self._fingerprint is None:
            self._fingerprint = self._take_fingerprint()
        return self._fingerprint

    def recheck(self, setback: Setback) -> Steps[None]:
        """Look again before the bytes are sent again, and hash them where the registry doubts them.

        Raises ImageChanged or ImageInvalid where they are not what their digest says: then sending
        them again is no use. The hash runs on a thread of its own, so that the other uploads go
        on.
        """
        if self._fingerprint is not None and self._look() != self._fingerprint:
            raise self._changed()
        if not setback.doubts_body or self._is_sound:
            return
        found: list[str | PushError] = []
        thread = threading.Thread(target=lambda: found.append(self._hash()), daemon=True)
        thread.start()
        while thread.is_alive():
            yield Sleep(_LOOK_EVERY)
        actual = found[0]
        if isinstance(actual, PushError):
            raise actual
        if actual != self.digest.encoded:
            raise ImageInvalid(
                f"blob {self.digest} is broken",
                f"`{self.region.path}` holds {self.digest.algorithm}:{actual} in its place",
                "make the image again",
            )
        self._is_sound = True

    def _look(self) -> int:
        try:
            return self._take_fingerprint()
        except EOFError:
            raise self._changed() from None
        except OSError as error:
            raise self._unreadable(error) from error

    def _take_fingerprint(self) -> int:
        fd = self.region.open_fd()
        try:
            return fingerprint_region(fd, self.region.offset, self.region.size)
        finally:
            os.close(fd)

    def _hash(self) -> str | PushError:
        try:
            fd = self.region.open_fd()
        except OSError as error:
            return self._unreadable(error)
        try:
            region = self.region
            return digest_region(fd, region.offset, region.size, self.digest.algorithm)
        except EOFError:
            return self._changed()
        except OSError as error:
            return self._unreadable(error)
        finally:
            os.close(fd)

    def _changed(self) -> ImageChanged:
        return ImageChanged(
            f"blob {self.digest} changed while it was pushed",
            f"`{self.region.path}` is not what it was",
            "let nothing write to the image, then push again",
        )

    def _unreadable(self, error: OSError) -> ImageUnreadable:
        return ImageUnreadable(
            f"blob {self.digest} cannot be read",
            f"`{self.region.path}`: {error.strerror or error}",
            "check the file and the disk it is on",
        )
