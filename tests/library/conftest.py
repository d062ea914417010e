"""A machine on which nobody has signed in, and a registry in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from idpbuilder.credentials import CredentialStores
from tests.parts.fixtures import registry, tokens

__all__ = ["registry", "tokens"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home."""
    for name in ("DOCKER_CONFIG", "DOCKER_AUTH_CONFIG", "REGISTRY_AUTH_FILE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder / "run"))
    # whoever runs the tests may keep secrets of his own
    monkeypatch.setattr(CredentialStores, "_default", lambda *_registry: ())
    return folder
