"""Where `troubleshooting.md` speaks of each error, for `docs/generate.py` and the tests."""

from __future__ import annotations

from pathlib import Path

from idpbuilder.cli.exits import exit_of
from idpbuilder.cli.failure import UnexpectedError
from idpbuilder.cli.sections import SECTIONS, UNEXPECTED, anchor

PAGE = Path(__file__).parent / "user-guide" / "troubleshooting.md"
_SECTIONS = {**SECTIONS, UnexpectedError: (UNEXPECTED,)}


def links_by_exit_code() -> list[tuple[str, str]]:
    """Each exit code of an error, and links to the sections that are for it."""
    found: dict[int, dict[str, None]] = {}
    for kind, headings in _SECTIONS.items():
        found.setdefault(exit_of(kind("")).code, {}).update(dict.fromkeys(headings))
    return [
        (str(code), ", ".join(f"[{heading}](#{anchor(heading)})" for heading in headings))
        for code, headings in sorted(found.items())
    ]
