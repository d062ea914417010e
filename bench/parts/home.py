"""A home that no other work uses, so that nothing that is remembered there counts by chance."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Home:
    """The variables of a process that lives in `path`, and a way to have it forget."""

    path: Path

    def environ(self, **variables: str) -> dict[str, str]:
        """This process's own, without what leads to other homes or engines, and `variables`."""
        inherited = {key: value for key, value in os.environ.items() if key[:7] != "DOCKER_"}
        folders = {"HOME": "", "XDG_CACHE_HOME": "cache", "XDG_DATA_HOME": "data"}
        return {
            **inherited,
            **{key: str(self.path / folder) for key, folder in folders.items()},
            **variables,
        }

    def forget(self) -> None:
        """Take from every program what it remembers of earlier pushes."""
        for folder in ("cache", "data", ".local"):
            shutil.rmtree(self.path / folder, ignore_errors=True)
        # where root's skopeo remembers blobs
        for folder in ("/var/lib/containers/cache", "/root/.local/share/containers/cache"):
            shutil.rmtree(folder, ignore_errors=True)
