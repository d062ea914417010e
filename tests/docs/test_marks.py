"""Blocks of a shell are run, or say why they are not; pipelines can be read."""

from __future__ import annotations

import subprocess

import pytest

from tests.docs.pages import DOCS, PAGES, SHELLS, Block, blocks
from tests.docs.pipelines import pipelines, scripts

# these are about this repository, and not for its users
OTHERS = {DOCS / "architecture.md", DOCS / "performance.md"}
SHELL_BLOCKS = [
    block
    for page in PAGES
    if page not in OTHERS
    for block in blocks(page)
    if block.language in SHELLS
]


@pytest.mark.parametrize("block", SHELL_BLOCKS, ids=str)
def test_a_block_is_run_or_says_why_not(block: Block) -> None:
    assert block.mark, "write `<!-- runnable -->` or `<!-- not run: … -->` before it"


@pytest.mark.parametrize("page", sorted(set(PAGES) - OTHERS), ids=lambda page: page.stem)
def test_every_block_names_its_language(page: object) -> None:
    assert all(block.language for block in blocks(page))  # type: ignore[arg-type]


@pytest.mark.parametrize("pipeline", pipelines(), ids=str)
def test_a_pipeline_has_scripts_that_a_shell_can_read(pipeline: Block) -> None:
    found = scripts(pipeline)
    assert any("idpbuilder push" in script.text for script in found)
    assert any("install" in script.text for script in found)
    for script in found:
        done = subprocess.run(
            ["sh", "-n"], input=script.text, capture_output=True, text=True, check=False
        )
        # what the pipeline fills in, as `${{ github.sha }}`, is no shell's
        assert done.returncode == 0 or "${{" in script.text, done.stderr
