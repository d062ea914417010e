"""A home that no other work uses, so that nothing that is remembered there counts by chance."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

# what leads to other homes or engines, to proxies, or changes how Python starts
_NOT_INHERITED = ("DOCKER_", "CONTAINER_", "IDPBUILDER_", "PYTHON", "REGISTRY_")
# where root's skopeo remembers blobs, whatever its home is
_OF_ROOT = Path("/var/lib/containers/cache")


@dataclass(frozen=True, slots=True)
class Home:
    """The variables of a process that lives in `path`, and a way to have it forget."""

    path: Path

    def environ(self, **variables: str) -> dict[str, str]:
        """This process's own, without what would change a result, and `variables`."""
        inherited = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(_NOT_INHERITED) and not key.lower().endswith("_proxy")
        }
        folders = {"HOME": "", "XDG_CACHE_HOME": "cache", "XDG_DATA_HOME": "data"}
        return {
            **inherited,
            **{key: str(self.path / folder) for key, folder in folders.items()},
            **variables,
        }

    def forget(self) -> None:
        """Take from every program what it remembers of earlier pushes."""
        for folder in ("cache", "data", ".local", ".cache"):
            shutil.rmtree(self.path / folder, ignore_errors=True)
        for file in _OF_ROOT.glob("blob-info-cache-v1.*"):
            file.unlink(missing_ok=True)
