"""A machine for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.credentials.stored import Machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """One on which nobody has signed in."""
    return Machine(tmp_path)
