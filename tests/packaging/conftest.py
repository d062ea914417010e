"""The scripts of `packaging/` are no package: they are found as they find each other."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def beside_the_scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets a test import one of them by its name."""
    monkeypatch.syspath_prepend(str(ROOT / "packaging"))
