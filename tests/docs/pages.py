"""Pages as they are written: their fenced blocks with the marks before them, headings and links.

A block of a shell is run by `tests/real/test_pages.py` where a comment before it says so:

    <!-- runnable -->                            against a registry that is open to all
    <!-- runnable, with docker -->               and an engine that knows `app:v1`
    <!-- runnable, signing in -->                against one that wants a password
    <!-- not run: it needs what no test has -->
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = tuple(sorted(DOCS.rglob("*.md")))
SHELLS = frozenset({"bash", "sh", "console"})
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"<!-- ((?:not run: |runnable)[^>]*) -->\n+\Z")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_LINK = re.compile(r"\]\((?!https?:)([^)]+)\)")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block; `number` counts those of its page, from 1. No mark is ``."""

    page: Path
    number: int
    language: str
    mark: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.stem}-{self.number}"

    @property
    def runnable(self) -> bool:
        """Whether it is marked to be run."""
        return self.mark.startswith("runnable")


def blocks(page: Path) -> Iterator[Block]:
    """All of a page, in their order."""
    text = page.read_text(encoding="utf-8")
    for number, found in enumerate(_FENCE.finditer(text), 1):
        mark = _MARK.search(text, 0, found.start())
        yield Block(page, number, found[1], mark[1] if mark else "", found[2])


def prose(page: Path) -> str:
    """A page without its blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> frozenset[str]:
    """What links to its headings name."""
    from docs.sections import anchor

    return frozenset(anchor(heading) for heading in _HEADING.findall(prose(page)))


def links(page: Path) -> list[str]:
    """Where it leads, but for the net."""
    return _LINK.findall(prose(page))
