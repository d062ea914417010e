"""What an answer that is no success means: the error to raise, whether to try again."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from idpbuilder.errors import (
    BlobsMissing,
    BodyTooLarge,
    ContentRefused,
    Forbidden,
    ImageChanged,
    ImageUnreadable,
    Incompatible,
    LocalError,
    PushError,
    RateLimited,
    RegistryFailed,
    RepositoryNotFound,
    TlsFailed,
    Unauthorized,
    Unreachable,
)
from idpbuilder.image import Digest
from idpbuilder.registry.retry import Setback, parse_retry_after
from idpbuilder.wire import FailureKind, Response, TransportFailure

_RETRIABLE_STATUS = frozenset({408, 425, 429, 499, 500, 502, 503, 504, 520, 521, 522, 523, 524})
_CROWDED = frozenset({429, 503})
_FINAL_FAILURES = frozenset(
    {
        FailureKind.CERTIFICATE,
        FailureKind.NOT_TLS,
        FailureKind.NO_TUNNEL,
        FailureKind.PROXY_REFUSED,
        FailureKind.SETUP,
    }
)
_CONTENT_CODES = frozenset(
    {"DIGEST_INVALID", "SIZE_INVALID", "MANIFEST_INVALID", "MANIFEST_UNVERIFIED", "TAG_INVALID"}
)
THE_REGISTRY = "the registry"
_TEXT_LIMIT = 300
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\U00010000-\U0010ffff]+")
# what carries a secret by its form: a token, a URL's user, the query of a signed URL or a session
_SECRETS = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{6,}"), r"\1 ***"),
    (re.compile(r"//[^/\s@]{1,2048}@"), "//***@"),
    (re.compile(r"(://[^\s?\"']{0,2048})\?[^\s\"']+"), r"\1?***"),
    (re.compile(r"([\w/.\]-])\?[^\s?=]{1,256}=[^\s\"']*"), r"\1?***"),
)
# no quantifier may run over another `<`: a page of nothing else must not take quadratic time
_TAG = re.compile(r"<([^<>]*)>")
_PAGE_LIMIT = 8 * 1024
_UNSEEN = frozenset({"script", "style"})


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What a registry says about a refusal: its error codes, and a text for people."""

    codes: frozenset[str] = frozenset()
    text: str = ""


def diagnose(response: Response) -> Diagnosis:
    """What an answer's body says: the specification's JSON, other JSON, HTML or text."""
    text = response.body[: 64 * 1024].decode("utf-8", "replace")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return Diagnosis(text=clean(_readable(text[:_PAGE_LIMIT])))
    if not isinstance(document, dict):
        return Diagnosis(text=clean(text))
    entries = document.get("errors")
    if not isinstance(entries, list):
        said = [document.get(key) for key in ("message", "error_description", "details", "error")]
        return Diagnosis(text=clean(next((item for item in said if isinstance(item, str)), "")))
    entries = [entry for entry in entries[:8] if isinstance(entry, dict)]
    codes = [entry["code"] for entry in entries if isinstance(entry.get("code"), str)]
    return Diagnosis(frozenset(codes), clean("; ".join(filter(None, map(_entry_text, entries)))))


def clean(text: str) -> str:
    """`text` from outside, fit to print: a short line, no control characters, and nothing that
    looks like a secret.
    """
    line = printable(text[: 16 * _TEXT_LIMIT])
    for pattern, replacement in _SECRETS:
        line = pattern.sub(replacement, line)
    return line if len(line) <= _TEXT_LIMIT else line[: _TEXT_LIMIT - 1] + "…"


def printable(text: str) -> str:
    """`text` on one line, a blank for whatever cannot be printed everywhere."""
    return " ".join(_UNPRINTABLE.sub(" ", text).split())


def bare(url: str) -> str:
    """`url` without its query, which may be signed, or hold a session's state."""
    return url.partition("?")[0]


def is_success(response: Response) -> bool:
    """Whether a PUT was heard: some registries answer it with another 2xx than 201.

    A page for people is none: a portal or a proxy sent it.
    """
    page = response.status == 200 and response.body.lstrip().startswith(b"<")
    return response.status in (200, 201, 202, 204) and not page


def stored_digest(response: Response, digest: Digest) -> None:
    """Raise ContentRefused where the registry says that it stored something else than `digest`.

    A digest of another algorithm says nothing.
    """
    stored = response.headers.get("Docker-Content-Digest")
    if stored and stored.startswith(f"{digest.algorithm}:") and stored != str(digest):
        raise ContentRefused(
            f"{digest} is not what the registry stored",
            "it answered with another digest",
            "push again, and tell the registry's operator",
        )


def incompatible(what: str, why: str) -> Incompatible:
    """The error of an answer that the protocol does not know."""
    return Incompatible(what, why, _DEFAULT_HINT)


def is_retriable(response: Response) -> bool:
    """Whether an answer tells of trouble that may pass."""
    return response.status in _RETRIABLE_STATUS


def setback(
    response: Response,
    what: str,
    now: Callable[[], float] = time.time,
    *,
    who: str = THE_REGISTRY,
) -> Setback:
    """The setback of an answer that is worth another try; raises the error of any other."""
    error = refusal(response, what, who)
    if not is_retriable(response):
        raise error
    retry_after = parse_retry_after(response.headers.get("Retry-After"), now())
    return Setback(error, retry_after, crowded=response.status in _CROWDED)


def refusal(response: Response, what: str, who: str = THE_REGISTRY) -> PushError:
    """The error of an answer that is no success; `what` says what was tried, `who` answered."""
    diagnosis = diagnose(response)
    kind, hint = _kind(response.status, diagnosis.codes)
    answer = f"{who} answered {response.status}"
    why = f"{answer} ({diagnosis.text})" if diagnosis.text else answer
    return kind(what, why, hint)


def _kind(status: int, codes: frozenset[str]) -> tuple[type[PushError], str]:
    if "MANIFEST_BLOB_UNKNOWN" in codes:
        return BlobsMissing, "run the command again: blobs vanished after their upload"
    if "DENIED" in codes and 400 <= status < 500 and status != 401:
        return _KINDS[403]
    if status in _KINDS:
        return _KINDS[status]
    if status >= 500:
        return RegistryFailed, _DEFAULT_HINT
    content = status == 400 or codes & _CONTENT_CODES
    return ContentRefused if content else Incompatible, _DEFAULT_HINT


def failure_setback(failure: TransportFailure, what: str, where: str) -> Setback:
    """The setback of a request that got no answer.

    Raises the error of one that is not worth another try.
    """
    if failure.kind is FailureKind.BODY_READ:
        raise _local(failure, what)
    if failure.kind is FailureKind.SINK:
        raise LocalError(what, failure.message, "check the disk it is kept on")
    if failure.kind is FailureKind.ASTRAY:
        raise incompatible(what, failure.message)
    if failure.kind in _FINAL_FAILURES:
        raise unreachable(failure, what, where)
    return Setback(unreachable(failure, what, where))


def unreachable(failure: TransportFailure, what: str, where: str) -> PushError:
    """The error of a request to `where` (host[:port]) that got no answer."""
    why = f"{where}: {failure.message}"
    if failure.kind is FailureKind.CERTIFICATE:
        return TlsFailed(what, why, _CERTIFICATE_HINT)
    if failure.kind is FailureKind.NOT_TLS:
        return TlsFailed(what, why, _NOT_TLS_HINT.format(where=where))
    if failure.kind is FailureKind.TLS:
        return TlsFailed(
            what, why, "check that the registry speaks TLS 1.2 or later at this address"
        )
    if failure.kind is FailureKind.SETUP:
        about_certificates = any(sign in failure.message for sign in _CERTIFICATE_SIGNS)
        return Unreachable(what, why, _TRUST_HINT if about_certificates else _ADDRESS_HINT)
    return Unreachable(what, why, _NETWORK_HINTS.get(failure.kind, _CONNECTION_HINT))


def _local(failure: TransportFailure, what: str) -> PushError:
    if isinstance(failure.cause, EOFError):
        return ImageChanged(
            what,
            "a local file became shorter while it was sent",
            "let nothing write to the image, then push again",
        )
    return ImageUnreadable(what, failure.message, "check the file and the disk it is on")


def _readable(page: str) -> str:
    """The text of a page that a person would see; of what is no page, all of it."""
    text, *rest = _TAG.split(page)
    seen, unseen_until = [text], ""
    for tag, text in zip(rest[::2], rest[1::2], strict=True):
        name = tag.split(maxsplit=1)[0].lower() if tag.strip() else ""
        if name == unseen_until:
            unseen_until = ""
        elif name in _UNSEEN and not unseen_until:
            unseen_until = f"/{name}"
        if not unseen_until:
            seen.append(text)
    return " ".join(seen)


def _entry_text(entry: dict[str, object]) -> str:
    code, message = entry.get("code"), entry.get("message")
    detail = entry.get("detail")
    parts = [str(part) for part in (code, message) if isinstance(part, str) and part]
    text = ": ".join(parts)
    return f"{text} ({detail})" if isinstance(detail, str) and detail else text


_DEFAULT_HINT = "check that the address is a registry's; `--verbose` shows each request"
_CONNECTION_HINT = "check the network, and that the registry runs; `--verbose` shows each request"
_CERTIFICATE_HINT = (
    "install the CA that signed it on this machine, name it with `SSL_CERT_FILE`, `--cert-dir` or "
    "a certs.d folder, or take any certificate with `--insecure`"
)
_TRUST_HINT = "check `--cert-dir`, the certs.d folders, SSL_CERT_FILE and SSL_CERT_DIR"
_ADDRESS_HINT = "check the registry's address, and what was given to sign in with"
# how the transport speaks of certificates that were named and cannot be used
_CERTIFICATE_SIGNS = ("certificate", "cannot be read", "but no `")
_NOT_TLS_HINT = "for a registry without TLS use `--registry http://{where}` or `--insecure`"
_PROXY_HINT = (
    "give the proxy's user and password in its variable, as in "
    "HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT, `%40` for `@` and `%2F` for `/`, or reach the "
    "registry without it by NO_PROXY"
)
_NETWORK_HINTS = {
    FailureKind.RESOLVE: "check the registry's name and this machine's DNS",
    FailureKind.CONNECT: "check the registry's name and port, and that it runs",
    FailureKind.PROXY: "check HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY",
    FailureKind.NO_TUNNEL: _PROXY_HINT,
    FailureKind.PROXY_REFUSED: _PROXY_HINT,
}
_KINDS: dict[int, tuple[type[PushError], str]] = {
    401: (Unauthorized, "check the user name and the password or token"),
    403: (Forbidden, "check that this account may push to this repository"),
    404: (RepositoryNotFound, "check the repository's name; some registries want it created first"),
    409: (ContentRefused, "the tag may be immutable: push under another one"),
    412: (ContentRefused, "the tag may be immutable: push under another one"),
    413: (BodyTooLarge, "raise the limit of the registry, or of the proxy before it"),
    415: (ContentRefused, "the registry does not take this kind of image"),
    429: (RateLimited, "try again later, or with fewer transfers at once (`--jobs`)"),
}
