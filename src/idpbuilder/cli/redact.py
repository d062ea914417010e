"""Takes secrets out of text that nobody wrote for users: an unexpected exception, a traceback."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_MARK: Final = "***"
_PATTERNS: Final = (
    (re.compile(r"(?i)\b(bearer|basic)(\s+)[^\s\"',;]+"), rf"\1\2{_MARK}"),
    (re.compile(r"(?i)\b((?:set-)?cookie\s*:\s*)[^\r\n]+"), rf"\1{_MARK}"),
    (re.compile(r"://[^/\s@]+@"), f"://{_MARK}@"),
    (re.compile(r"(\bhttps?://[^\s?'\"]+)\?[^\s'\"]+"), rf"\1?{_MARK}"),
)


def redacted(text: str, secrets: Iterable[str]) -> str:
    """`text` without `secrets`, in any form they are sent in, and without what looks like one."""
    forms = {form for secret in secrets if secret for form in _forms(secret)}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, _MARK)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def _forms(secret: str) -> Iterable[str]:
    from base64 import b64encode
    from urllib.parse import quote, quote_plus

    data = secret.encode("utf-8", "surrogateescape")
    yield secret
    yield repr(secret)[1:-1]
    yield quote(data, safe="")
    yield quote_plus(data)
    yield b64encode(data).decode("ascii")
