"""Docker's engine, as a process of its own with everything that it keeps in a temporary folder."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

_START_LIMIT = 60.0
"""Seconds for the engine to come up."""
_STOP_LIMIT = 30.0


class Dockerd:
    """Runs `dockerd`, which takes root, on a private socket; it touches no network of the host."""

    def __init__(self, *, program: str = "dockerd", client: str = "docker") -> None:
        self._program = program
        self._client = client
        # short: the path of a socket has at most 107 bytes, and containerd makes some below
        self._folder = tempfile.TemporaryDirectory(prefix="dockerd-", ignore_cleanup_errors=True)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def folder(self) -> Path:
        """Holds its socket, its log and its storage."""
        return Path(self._folder.name)

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.folder / "docker.sock"

    @property
    def host(self) -> str:
        """For DOCKER_HOST."""
        return f"unix://{self.socket}"

    @property
    def log(self) -> str:
        """All that it has logged."""
        return (self.folder / "log").read_text(errors="replace")

    def __enter__(self) -> Dockerd:
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    self._program,
                    f"--host={self.host}",
                    f"--data-root={self.folder / 'data'}",
                    f"--exec-root={self.folder / 'exec'}",
                    f"--pidfile={self.folder / 'pid'}",
                    "--storage-driver=vfs",
                    "--iptables=false",
                    "--bridge=none",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        self._folder.cleanup()

    def docker(self, *arguments: object, stdin: bytes = b"", **variables: str) -> str:
        """What the command `docker` prints, without the line's end. Raises AssertionError."""
        environ = {**os.environ, "DOCKER_HOST": self.host, "DOCKER_BUILDKIT": "0", **variables}
        environ.pop("DOCKER_CONTEXT", None)
        line = [self._client, *map(str, arguments)]
        done = subprocess.run(line, input=stdin, capture_output=True, env=environ, check=False)
        assert done.returncode == 0, f"{line}: {done.stderr.decode(errors='replace')}\n{self.log}"
        return done.stdout.decode().strip()

    def build(self, *tags: str, files: Mapping[str, bytes], base: str = "scratch") -> str:
        """Builds an image with a layer for each of `files` on `base`; its ID."""
        with tempfile.TemporaryDirectory() as context:
            lines = [f"FROM {base}"]
            for name, data in files.items():
                Path(context, name).write_bytes(data)
                lines.append(f"COPY {name} /{name}")
            Path(context, "Dockerfile").write_text("\n".join(lines))
            named = [word for tag in tags for word in ("-t", tag)]
            return self.docker("build", "--quiet", *named, context)

    def stop(self) -> None:
        """End it; what it keeps stays. May be called twice."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _wait(self) -> None:
        assert self._process is not None
        until = time.monotonic() + _START_LIMIT
        while "API listen on" not in (log := self.log):
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{self._program} did not come up:\n{log}")
            time.sleep(0.05)
