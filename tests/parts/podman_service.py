"""podman with a storage of its own: its command, and its service on a private socket."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

_START_LIMIT = 60.0
"""Seconds for the service to come up."""


class Podman:
    """Everything that it keeps is in a temporary folder; no network, and no container is run.

    With `service` it listens while the context lasts, without it there is only the command.
    """

    def __init__(self, *, program: str = "podman", service: bool = True) -> None:
        self._program = program
        self._service = service
        self._folder = tempfile.TemporaryDirectory(prefix="podman-", ignore_cleanup_errors=True)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def folder(self) -> Path:
        """Holds its socket, its log and its storage."""
        return Path(self._folder.name)

    @property
    def socket(self) -> Path:
        """Where its service listens."""
        return self.folder / "podman.sock"

    @property
    def host(self) -> str:
        """For CONTAINER_HOST."""
        return f"unix://{self.socket}"

    @property
    def variables(self) -> dict[str, str]:
        """With these the command finds this storage."""
        return {"CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf")}

    def __enter__(self) -> Podman:
        (self.folder / "storage.conf").write_text(
            "[storage]\n"
            'driver = "vfs"\n'
            f'graphroot = "{self.folder / "root"}"\n'
            f'runroot = "{self.folder / "run"}"\n'
        )
        if self._service:
            try:
                self._start()
            except BaseException:
                self._stop()
                raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()
        self._folder.cleanup()

    def podman(self, *arguments: object, stdin: bytes = b"") -> str:
        """What the command prints, without the line's end. Raises AssertionError."""
        line = [self._program, "--cgroup-manager=cgroupfs", *map(str, arguments)]
        done = subprocess.run(
            line, input=stdin, capture_output=True, env=self._environ(), check=False
        )
        assert done.returncode == 0, f"{line}: {done.stderr.decode(errors='replace')}"
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
            options = ("--quiet", "--layers", "--isolation=chroot", "--pull=never")
            return self.podman("build", *options, *named, context)

    def _environ(self) -> dict[str, str]:
        inherited = {key: value for key, value in os.environ.items() if key != "CONTAINER_HOST"}
        return {**inherited, **self.variables}

    def _start(self) -> None:
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    self._program,
                    "--cgroup-manager=cgroupfs",
                    "system",
                    "service",
                    "--time=0",
                    self.host,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environ(),
            )
        until = time.monotonic() + _START_LIMIT
        while not self.socket.exists():
            if self._process.poll() is not None or time.monotonic() > until:
                log_text = (self.folder / "log").read_text(errors="replace")
                raise RuntimeError(f"podman's service did not come up:\n{log_text}")
            time.sleep(0.05)

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
