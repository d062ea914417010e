"""What must not be shown, and how it is taken out of whatever is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_MARK: Final = "***"
_CUT: Final = "…"
_SHORT: Final = 6
"""Characters below which a secret is only hidden where it stands alone: a password of one letter
would take that letter out of every word."""
_TINY: Final = 4
"""Characters below which it must stand alone even in a path, a number or an address."""
_LEAST_CUT: Final = 3
_IN_URLS: Final = (
    # what a hint of ours shows how to write is nobody's
    (re.compile(r"://(?!USER:PASSWORD@)[^/\s@]+@"), f"://{_MARK}@"),
    # where it is hidden already, nothing after it is part of it
    (re.compile(r"(\bhttps?://[^\s?'\"]+)\?(?!\*\*\*)[^\s'\"]+"), rf"\1?{_MARK}"),
)
_IN_HEADERS: Final = (
    (re.compile(r"(?i)\b(bearer|basic)(\s+)[^\s\"',;]+"), rf"\1\2{_MARK}"),
    (re.compile(r"(?i)\b((?:set-)?cookie\s*:\s*)[^\r\n]+"), rf"\1{_MARK}"),
)

_MARKUP: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
# Python's and others', and Go's, which also has its own way with JSON
_IN_PAGES: Final = (
    str.maketrans({**_MARKUP, '"': "&quot;", "'": "&#x27;"}),
    str.maketrans({**_MARKUP, '"': "&#34;", "'": "&#39;"}),
)
_IN_JSON_OF_GO: Final = str.maketrans({"&": "\\u0026", "<": "\\u003c", ">": "\\u003e"})


class Secrets:
    """Every secret of one call of the program, in every form in which it may come back.

    No secret is in the repr.
    """

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._forms: list[str] = []

    def add(self, secret: str) -> None:
        """Never show `secret` from now on."""
        if secret and secret not in self._known:
            self._known.add(secret)
            # a form may hold another, which would leave the rest of it to be seen
            forms = {form for form in _forms(secret) if form.strip()}
            self._forms = sorted(forms.union(self._forms), key=len, reverse=True)

    def hide(self, text: str) -> str:
        """`text` without the secrets, whole or cut off by `…`, and without what URLs carry."""
        for form in self._forms:
            text = _without(text, form)
        for pattern, replacement in _IN_URLS:
            text = pattern.sub(replacement, text)
        return text

    def scrub(self, text: str) -> str:
        """As `hide`, for a text that nobody wrote for users: what looks like a secret goes too."""
        text = self.hide(text)
        for pattern, replacement in _IN_HEADERS:
            text = pattern.sub(replacement, text)
        return text


def _without(text: str, form: str) -> str:
    if form in text:
        found = re.escape(form)
        if len(form) < _SHORT:
            near = r"[\w./:@-]" if len(form) < _TINY else r"\w"
            found = rf"(?<!{near}){found}(?!{near})"
        text = re.sub(found, _MARK, text)
    if _CUT not in text:
        return text
    *parts, last = text.split(_CUT)
    return _CUT.join([*(_without_end(part, form) for part in parts), last])


def _without_end(text: str, form: str) -> str:
    """`text`, which was cut off, without the beginning of `form` at its end."""
    for length in range(min(len(form), len(text)), _LEAST_CUT - 1, -1):
        if text.endswith(form[:length]):
            return text[:-length] + _MARK
    return text


def _forms(secret: str) -> Iterator[str]:
    """`secret` as it may come back: as it is, or as headers, URLs, JSON and pages have it."""
    from base64 import b64encode, urlsafe_b64encode
    from json import dumps
    from urllib.parse import quote, quote_plus

    from idpbuilder.registry.failure import printable

    data = secret.encode("utf-8", "surrogateescape")
    read = data.decode("utf-8", "replace")
    for text in {secret, read, data.decode("latin-1"), " ".join(read.split()), printable(read)}:
        yield text
        yield repr(text)[1:-1]
        yield dumps(text)[1:-1]
        in_json = dumps(text, ensure_ascii=False)[1:-1]
        yield in_json
        yield in_json.translate(_IN_JSON_OF_GO)
        yield from (text.translate(page) for page in _IN_PAGES)
    yield repr(data)[2:-1]
    for quoted in (quote(data, safe=""), quote_plus(data)):
        yield quoted
        yield re.sub("%..", lambda octet: octet[0].lower(), quoted)
    for encoded in (b64encode(data), urlsafe_b64encode(data)):
        yield encoded.rstrip(b"=").decode("ascii")
