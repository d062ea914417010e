"""The site is built without a warning, and every page is in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, PAGES, ROOT


def test_the_site_is_built_without_a_warning_and_with_every_page(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="MkDocs Material comes with the extra `docs`")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        # a word about its own future, which is none about our pages
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    for page in PAGES:
        assert (tmp_path / page.relative_to(DOCS)).with_suffix(".html").is_file()
    assert not list(tmp_path.rglob("*.py*"))
