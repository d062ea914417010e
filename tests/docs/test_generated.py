"""What the pages repeat of the code, against the code."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import click

from idpbuilder.cli.command import Flag
from idpbuilder.cli.commands import idpbuilder
from idpbuilder.cli.failure import DEBUG_VARIABLE
from idpbuilder.cli.push import push
from tests.docs.pages import DOCS, PAGES, ROOT, blocks, prose

CONTEXT = click.Context(idpbuilder)
NAMES = idpbuilder.list_commands(CONTEXT)
COMMANDS = [one for name in NAMES if (one := idpbuilder.get_command(CONTEXT, name)) is not None]
FLAGS = {name for one in COMMANDS for flag in one.params for name in flag.opts} | {"--help"}
VARIABLES = {flag.variable for flag in push.params if isinstance(flag, Flag)} | {DEBUG_VARIABLE}
_OF_OURS = re.compile(r"idpbuilder(?:-push)? (?:[^|>;&`\n]|\\\n)+")
_FLAG = re.compile(r"(?<![\w-])--?[a-z][a-z-]*")


def test_the_generated_pages_say_what_the_code_says() -> None:
    done = subprocess.run(
        [sys.executable, str(DOCS / "generate.py"), "--check"],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "PYTHONIOENCODING": "utf-8"},
        capture_output=True, encoding="utf-8", timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_no_page_names_a_flag_that_there_is_not() -> None:
    unknown = {}
    for page in PAGES:
        code = "\n".join(block.text for block in blocks(page))
        ours = [*_OF_OURS.findall(f"{code}\n{prose(page)}")]
        # `--flag` alone, or with its value, is one of ours too
        ours += re.findall(r"`(--[^`]*)`", prose(page))
        if missing := {flag for text in ours for flag in _FLAG.findall(text)} - FLAGS:
            unknown[str(page.relative_to(DOCS))] = missing
    assert not unknown


def test_no_page_names_a_variable_that_there_is_not() -> None:
    for page in PAGES:
        named = re.findall(r"\bIDPBUILDER_\w+[A-Z]\b", page.read_text(encoding="utf-8"))
        assert set(named) <= VARIABLES, page
