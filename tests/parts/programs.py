"""Programs that the tests use and that may not be installed."""

from __future__ import annotations

import os
import shutil

import pytest


def need(program: str, package: str = "") -> str:
    """The path of `program`. Where it is missing the test is skipped; under CI it fails."""
    path = shutil.which(program)
    if path:
        return path
    reason = (
        f"`{program}` is not on PATH; on Debian `apt-get install {package or program}`,"
        " or `sh tests/real/install.sh` for all of them"
    )
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
