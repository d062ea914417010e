"""What is fed with inputs, and what must be true of whatever it makes of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from math import isfinite
from typing import Any
from urllib.parse import urlsplit

from idpbuilder.credentials.docker_config import DockerConfig, Form
from idpbuilder.credentials.unusable import Unusable
from idpbuilder.errors import PushError
from idpbuilder.image import Digest, InvalidValue, Platform, Reference
from idpbuilder.image.host import may_lead_to
from idpbuilder.image.manifest import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, parse_document
from idpbuilder.registry.auth import Authenticator
from idpbuilder.registry.challenge import parse_challenges
from idpbuilder.registry.credentials import Credentials
from idpbuilder.registry.endpoints import Endpoint, with_digest
from idpbuilder.registry.failure import diagnose, is_retriable, refusal, setback
from idpbuilder.registry.open_upload import OpenUpload, chunk_size, stored_bytes
from idpbuilder.registry.retry import RETRY_AFTER_LIMIT, RetryPolicy, parse_retry_after
from idpbuilder.registry.scope import Scope
from idpbuilder.transport.answer import Answer
from idpbuilder.wire import Headers, Request, Response, Trust
from tests.fuzz.mutation import JsonMutator, Mutator

HEX = "0123456789abcdef" * 4
DIGEST = f"sha256:{HEX}"
PUBLIC = Endpoint("https", "registry.example.com")
LOCAL = Endpoint("http", "localhost:5000")
_POST = "/v2/team/app/blobs/uploads/"


@dataclass(frozen=True, slots=True)
class Target:
    """`run` takes an input that `inputs(number)` makes, and raises nothing but `refuses`."""

    name: str
    inputs: Callable[[int], Callable[[], bytes]]
    run: Callable[[bytes], object]
    refuses: tuple[type[Exception], ...] = ()
    close: Callable[[], object] = field(default=lambda: None)


def texts(*seeds: str, words: tuple[str, ...] = ()) -> Callable[[int], Mutator]:
    """Makes inputs of texts."""
    return partial(
        Mutator, [seed.encode() for seed in seeds], tuple(word.encode() for word in words)
    )


def documents(*seeds: Any) -> Callable[[int], JsonMutator]:
    """Makes inputs of JSON documents."""
    return lambda number: JsonMutator(seeds, number)


def latin(data: bytes) -> str:
    """As header values come from the wire."""
    return data.decode("latin-1").replace("\r", " ").replace("\n", " ").strip()


def utf8(data: bytes) -> str:
    """As arguments come from the command line."""
    return data.decode("utf-8", "surrogateescape")


def answered(status: int, body: bytes = b"", **fields: str) -> Response:
    """An answer; field names have `_` for `-`."""
    named = [(name.replace("_", "-"), value) for name, value in fields.items()]
    return Response(status, Headers(named), body, PUBLIC.base + _POST)


# -- texts


def reference(data: bytes) -> None:
    found = Reference.parse(utf8(data))
    assert Reference.parse(str(found)) == found
    assert len(found.name) <= 256
    assert str(found).isascii()
    assert str(found).isprintable()


def digest(data: bytes) -> None:
    text = utf8(data)
    found = Digest.parse(text)
    assert str(found) == text
    assert found.encoded.isalnum()


def platform(data: bytes) -> None:
    found = Platform.parse(utf8(data))
    assert Platform.parse(str(found)) == found


def challenge(data: bytes) -> None:
    value = latin(data)
    for found in parse_challenges(Headers([("WWW-Authenticate", value)])):
        assert found.scheme == found.scheme.lower() != ""
        assert sum(map(len, found.parameters.values())) <= len(value)


def challenged(data: bytes) -> None:
    """What a 401 leads to: a token's request, which never goes where it must not."""
    signing = Authenticator(
        lambda: Credentials("a test", "user", "secret"), Trust(), lambda: 0.0, confide=_nothing
    )
    scopes = (Scope.push("team/app"),)
    refused = answered(401, WWW_Authenticate=latin(data))
    if not signing.refused(refused, PUBLIC, scopes, None):
        return
    if signing.wanted(scopes) is None:
        return
    request = next(signing.fetch(scopes))
    assert isinstance(request, Request)
    assert request.url.isascii()
    assert request.url.isprintable()
    parts = urlsplit(request.url)
    assert parts.scheme == "https"
    assert may_lead_to("registry.example.com", parts.hostname or "")


def location(data: bytes) -> None:
    value = latin(data)
    for endpoint in (PUBLIC, LOCAL):
        try:
            url = endpoint.resolve(endpoint.base + _POST, value)
        except InvalidValue:
            continue
        parts = urlsplit(with_digest(url, Digest.parse(DIGEST)))
        assert url.isascii()
        assert url.isprintable()
        assert parts.scheme == "https" or (parts.scheme, endpoint.scheme) == ("http", "http")
        assert parts.hostname
        assert "@" not in parts.netloc
        assert not parts.fragment
        assert may_lead_to(urlsplit(endpoint.base).hostname or "", parts.hostname)


def retry_after(data: bytes) -> None:
    asked = parse_retry_after(latin(data), 1_700_000_000.0)
    assert asked is None or (isfinite(asked) and asked >= 0)
    delay = RetryPolicy().delay(0, asked)
    assert delay is not None
    assert 0 < delay <= RETRY_AFTER_LIMIT


def upload_range(data: bytes) -> None:
    """How much a session says that it holds, and what it says of chunks."""
    value = latin(data)
    stored = stored_bytes(answered(204, Range=value))
    assert stored is None or 0 <= stored <= 10**18
    size = 10_000_000
    chunk = chunk_size(
        answered(202, OCI_Chunk_Min_Length=value[:30], OCI_Chunk_Max_Length=value), 0, size
    )
    assert chunk >= 0
    upload = OpenUpload(PUBLIC.base + _POST, size, Trust(), handed=size // 2, chunk=chunk)
    if stored is not None and upload.agree(stored):
        assert 0 < upload.offset <= size // 2
    assert 0 < upload.to_send <= size


def head(data: bytes) -> None:
    """Header lines as libcurl hands them on."""
    answer = Answer(1000)
    for line in data.split(b"\n"):
        if not answer.add_line(line + b"\n"):
            return
    assert 0 <= answer.status <= 999
    assert all(name == name.strip() for name, _ in answer.headers)


# -- JSON


def document(data: bytes) -> None:
    for kind in ("", OCI_MANIFEST, OCI_INDEX):
        try:
            found = parse_document(data, kind)
        except InvalidValue:
            continue
        listed = found.manifests if hasattr(found, "manifests") else (found.config, *found.layers)
        assert all(0 <= one.size < 2**63 for one in listed)


_SECRET = re.compile(r"\bBearer [\w-]{20}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def error_body(data: bytes) -> None:
    """What a registry says of a refusal: told in one short line that can be printed."""
    for status in (400, 401, 404, 429, 503):
        response = answered(status, data, Retry_After="7")
        said = diagnose(response)
        assert len(said.text) <= 300
        assert not _CONTROL.search(said.text)
        assert not _SECRET.search(said.text)
        assert refusal(response, "it failed").message
        if is_retriable(response):
            assert setback(response, "it failed").retry_after == 7


def token_answer(data: bytes) -> None:
    """What a token service answers: a token that fits a header, and for how long it is good."""
    signing = Authenticator(lambda: None, Trust(), lambda: 0.0, confide=_nothing)
    scopes = (Scope.push("team/app"),)
    asked = answered(401, WWW_Authenticate='Bearer realm="https://auth.example.com/token"')
    assert signing.refused(asked, PUBLIC, scopes, None)
    flow = signing.fetch(scopes)
    next(flow)
    try:
        flow.send(answered(200, data, Date="Fri, 31 Oct 2025 10:00:00 GMT"))
    except StopIteration:
        header = signing.header(scopes)
        assert header is not None
        assert header.isascii()
        assert header.isprintable()
        assert signing.wanted(scopes) is None


def docker_config(data: bytes) -> None:
    for form in Form:
        try:
            config = DockerConfig.parse(data, "~/.docker/config.json", form)
            for registry in ("registry.example.com", "docker.io", "[::1]:5000"):
                config.candidates(registry, "team/app")
        except Unusable:
            continue


def _nothing(_secret: str) -> None:
    pass


_DESCRIPTOR = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": DIGEST, "size": 7}
_ENTRY = {
    **_DESCRIPTOR,
    "mediaType": OCI_MANIFEST,
    "platform": {"os": "linux", "architecture": "arm", "variant": "v7"},
    "annotations": {"org.opencontainers.image.ref.name": "v1"},
    "urls": ["https://example.com/a"],
}
MANIFESTS = (
    {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": _DESCRIPTOR, "layers": [_DESCRIPTOR]},
    {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [_ENTRY, _ENTRY]},
    {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": _DESCRIPTOR,
        "layers": [_DESCRIPTOR, _DESCRIPTOR],
        "subject": _DESCRIPTOR,
        "artifactType": "application/vnd.example",
        "annotations": {"a": "b"},
    },
)
_ERRORS = (
    {"errors": [{"code": "DENIED", "message": "no", "detail": "Bearer abcdefghijklmnopqrstuvwx"}]},
    {"errors": [{"code": "MANIFEST_BLOB_UNKNOWN", "message": "m", "detail": {"digest": DIGEST}}]},
    {"message": "not so", "error_description": "see https://u:p@example.com/a?token=secret"},
    "<html><head><script>a()</script><style>b</style></head><body><h1>Sorry</h1></body></html>",
)
_TOKENS = (
    {
        "token": "abc.def",
        "access_token": "abc",
        "expires_in": 300,
        "issued_at": "2025-10-31T09:59:59Z",
    },
    {"access_token": "a", "expires_in": 60.5, "issued_at": "2025-10-31T09:59:59.123456789+02:00"},
)
_AUTH = {"auth": "dXNlcjpjMlZqY21WMA==", "identitytoken": "t", "username": "u", "password": "p"}
_CONFIGS = (
    {
        "auths": {"registry.example.com": _AUTH, "https://index.docker.io/v1/": _AUTH},
        "credHelpers": {"docker.io": "pass", "other.example.com": ""},
        "credsStore": "secretservice",
    },
    {"auths": {"registry.example.com/team": _AUTH, "[::1]:5000": {"registrytoken": "t"}}},
    {"registry.example.com": _AUTH},
)

PURE = (
    Target(
        "reference",
        texts(
            f"registry.example.com:5000/team/app_x__y-z.w:v1.0@{DIGEST}",
            "[2001:db8::1]:443/a/b:latest",
            "localhost/app",
            "docker.io/library/ubuntu",
            words=("sha256:", ":", "@", "[", "]", "__", "--", ".."),
        ),
        reference,
        (InvalidValue,),
    ),
    Target("digest", texts(DIGEST, f"sha512:{HEX}{HEX}"), digest, (InvalidValue,)),
    Target("platform", texts("linux/arm64/v8", "windows/amd64"), platform, (InvalidValue,)),
    Target(
        "challenge",
        texts(
            'Bearer realm="https://auth.example.com/t?a=b",service="s",scope="repository:a/b:pull"',
            'Basic realm="a \\"b\\", c", Negotiate abc==, Bearer realm=x,error="invalid_token"',
            "BASIC realm",
            words=('"', "\\", ",", "=", "Bearer ", "realm=", "\t"),
        ),
        challenge,
    ),
    Target(
        "401",
        texts(
            'Bearer realm="https://auth.example.com/token?a=b",service="s",scope="repository:a:pull"',
            'Basic realm="x", Bearer realm="https://10.0.0.1/token",service="registry"',
            words=('"', ",", "http://", "https://", "169.254.169.254", "localhost", "@", "#"),
        ),
        challenged,
        (PushError,),
    ),
    Target(
        "Location",
        texts(
            "https://registry.example.com/v2/team/app/blobs/uploads/1?_state=abc%3D%3D",
            "/v2/team/app/blobs/uploads/1?digest=x",
            "http://registry.example.com:80/v2/u",
            "//storage.example.com:8443/u?sig=a&b=c#f",
            "https://[2001:db8::1]:443/u",
            words=(
                "http://",
                "https://",
                "//",
                "@",
                "#",
                "?",
                "[",
                "]",
                "%",
                "127.0.0.1",
                "0x7f.1",
            ),
        ),
        location,
    ),
    Target(
        "Retry-After",
        texts(
            "120",
            "Fri, 31 Oct 2025 10:00:00 GMT",
            "Friday, 31-Oct-25 10:00:00 GMT",
            "31 Oct 99999 10:00:00 +9999",
            words=("+0000", "GMT", "-", ":", ",", "99999999999"),
        ),
        retry_after,
    ),
    Target("Range", texts("0-99", "bytes=0-4999999", "0-0", "0-", "5000000"), upload_range),
    Target(
        "head",
        texts(
            "HTTP/1.1 202 Accepted\r\nLocation: /v2/x\r\nRange: 0-0\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nA: b\r\n\r\nTrailer: x\r\n",
            words=("\r\n", ":", "HTTP/1.1 ", "\n\n"),
        ),
        head,
    ),
    Target("manifest", documents(*MANIFESTS), document),
    Target("error body", documents(*_ERRORS), error_body),
    Target("token answer", documents(*_TOKENS), token_answer, (PushError,)),
    Target("docker config", documents(*_CONFIGS), docker_config),
)
"""What needs no file."""
