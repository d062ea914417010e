"""Every hint stands in the troubleshooting page, and every error has a section there."""

from __future__ import annotations

import re

from docs.hints import hints
from docs.sections import PAGE
from idpbuilder.cli.failure import UnexpectedError
from idpbuilder.cli.sections import SECTIONS, UNEXPECTED, anchor
from idpbuilder.errors import Interrupted, PushError
from tests.docs.pages import anchors

_ITEM = re.compile(r"^- hint: (.+(?:\n  .+)*)", re.MULTILINE)


def explained() -> list[str]:
    """The hints that the page lists."""
    found = _ITEM.findall(PAGE.read_text(encoding="utf-8"))
    return [" ".join(item.split()) for item in found]


def test_every_hint_that_can_be_printed_is_explained() -> None:
    missing = [f"{hint.where}: {hint.text}" for hint in hints() if hint.text not in explained()]
    assert missing == []


def test_no_hint_is_explained_that_cannot_be_printed() -> None:
    assert set(explained()) <= {hint.text for hint in hints()}


def test_hints_are_found_where_the_code_gives_them_in_many_ways() -> None:
    texts = {hint.text for hint in hints()}
    assert "write `true` or `false`" in texts, "an argument"
    assert "check that this account may push to this repository" in texts, "a pair in a table"
    assert "for a registry without TLS use `--registry http://…` or `--insecure`" in texts, "a form"
    assert "see `… --help`" in texts, "one branch of two"
    assert "copy or save the image again, whole" in texts, "a default"


def test_every_error_that_is_raised_has_a_section() -> None:
    def leaves(kind: type[PushError]) -> set[type[PushError]]:
        below = kind.__subclasses__()
        return {kind} if not below else set().union(*map(leaves, below))

    known = {*SECTIONS, UnexpectedError}
    assert {kind for kind in leaves(PushError) if not known & set(kind.__mro__)} == {Interrupted}
    for headings in (*SECTIONS.values(), (UNEXPECTED,)):
        assert {anchor(heading) for heading in headings} <= anchors(PAGE)
