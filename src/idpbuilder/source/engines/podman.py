"""podman without a service: its command, run as the user would run it."""

from __future__ import annotations

import json
import os
import selectors
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence

from idpbuilder.image import Digest, Platform
from idpbuilder.source.engines.engine import (
    Check,
    Details,
    EngineTrouble,
    Listed,
    details,
    listed,
    sentence,
)
from idpbuilder.wire import Sink

_BUFFER = 1024 * 1024
_TURN_SECONDS = 0.2
_ASKING_SECONDS = 60.0
"""For a list or an inspection; an export may take as long as it needs."""
_ANSWER_LIMIT = 64 * 1024 * 1024
_ERROR_LIMIT = 64 * 1024


class PodmanCommand:
    """The program `podman`, found on the PATH of `environ`, which it inherits."""

    chooses_platforms = False
    dialect = "podman"

    def __init__(
        self,
        environ: Mapping[str, str],
        check: Check,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._environ = environ
        self._check = check
        self._clock = clock
        self._program = ""

    def connect(self) -> PodmanCommand:
        """Find the program. Raises EngineTrouble."""
        # without a PATH the system's own default would be searched
        path = shutil.which("podman", path=self._environ.get("PATH", ""))
        if path is None:
            raise EngineTrouble("it is not on PATH")
        self._program = path
        return self

    def images(self) -> list[Listed]:
        """The images that it has, dangling ones too, each once. Raises EngineTrouble."""
        value = _decoded(self._asked(["images", "--format", "json"]))
        if not isinstance(value, list):
            raise EngineTrouble("its list of images is no list")
        # an image with several names comes several times
        found = {one.id: one for one in map(listed, value) if one is not None}
        return list(found.values())

    def inspect(self, name: str) -> Details | None:
        """The image that podman takes `name` for; None where there is none."""
        found = self._inspected([name])
        return found[0] if found else None

    def inspect_all(self, ids: Sequence[Digest]) -> list[Details]:
        """The images with these IDs, in this order; those that are gone meanwhile are left out."""
        return self._inspected([one.encoded for one in ids]) if ids else []

    def export(self, ids: Sequence[Digest], platform: Platform | None, sink: Sink) -> None:
        """Write the images, as `docker save` does, to `sink`.

        Raises EngineTrouble, and the OSError that `sink` raised.
        """
        arguments = ["save", "--quiet", "--format", "docker-archive"]
        if len(ids) > 1:
            # without it the second would be a name for the first
            arguments.append("--multi-image-archive")
        code, said = self._run([*arguments, *(one.encoded for one in ids)], sink.write)
        if code:
            raise EngineTrouble(f"`podman save` ended early: {said}")

    def _inspected(self, names: Sequence[str]) -> list[Details]:
        # it fails where one of several is missing, and still tells of the others
        output = _Kept()
        code, said = self._run(["image", "inspect", "--", *names], output.write, _ASKING_SECONDS)
        if code and not bytes(output.data).lstrip().startswith(b"["):
            raise EngineTrouble(f"`podman image inspect` failed: {said}")
        value = _decoded(bytes(output.data))
        items = value if isinstance(value, list) else []
        return [one for one in map(details, items) if one is not None]

    def _asked(self, arguments: Sequence[str]) -> bytes:
        output = _Kept()
        code, said = self._run(arguments, output.write, _ASKING_SECONDS)
        if code:
            raise EngineTrouble(f"`podman {arguments[0]}` failed: {said}")
        return bytes(output.data)

    def _run(
        self, arguments: Sequence[str], take: Callable[[bytes], None], seconds: float | None = None
    ) -> tuple[int, str]:
        """Run podman and have `take` called with what it writes; its exit code, and what it said.

        Whatever happens, it is not running any more afterwards.
        """
        end = None if seconds is None else self._clock() + seconds
        try:
            process = subprocess.Popen(
                [self._program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(self._environ),
                bufsize=0,
            )
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise EngineTrouble(f"it cannot be run: {reason}") from error
        with process:
            try:
                said = self._listen(process, take, end)
                return self._awaited(process, end), said
            finally:
                # after its end this does nothing; before, `with` would wait for ever
                process.kill()

    def _listen(
        self, process: subprocess.Popen[bytes], take: Callable[[bytes], None], end: float | None
    ) -> str:
        said = b""
        with selectors.DefaultSelector() as selector:
            for stream in (process.stdout, process.stderr):
                assert stream is not None
                selector.register(stream, selectors.EVENT_READ)
            while selector.get_map():
                self._look_up(end)
                for key, _ in selector.select(_TURN_SECONDS):
                    data = _read(key.fileobj)
                    if not data:
                        selector.unregister(key.fileobj)
                    elif key.fileobj is process.stdout:
                        take(data)
                    else:
                        said = (said + data)[-_ERROR_LIMIT:]
        return _last_line(said)

    def _awaited(self, process: subprocess.Popen[bytes], end: float | None) -> int:
        while True:
            self._look_up(end)
            try:
                return process.wait(_TURN_SECONDS)
            except subprocess.TimeoutExpired:
                continue

    def _look_up(self, end: float | None) -> None:
        self._check()
        if end is not None and self._clock() >= end:
            raise EngineTrouble(f"it did not answer within {_ASKING_SECONDS:g} s")


class _Kept:
    """What podman writes that is small enough to be kept."""

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes) -> None:
        self.data += data
        if len(self.data) > _ANSWER_LIMIT:
            raise EngineTrouble(f"it answers with more than {_ANSWER_LIMIT} bytes")


def _read(stream: object) -> bytes:
    fileno: int = stream.fileno()  # type: ignore[attr-defined]
    return os.read(fileno, _BUFFER)


def _decoded(data: bytes) -> object:
    try:
        value: object = json.loads(data or b"[]")
    except (ValueError, RecursionError) as error:
        raise EngineTrouble("its answer is not JSON") from error
    return value


def _last_line(said: bytes) -> str:
    lines = [line for line in said.decode(errors="replace").splitlines() if line.strip()]
    return sentence(lines[-1].removeprefix("Error: ")) if lines else "it does not say why"
