from __future__ import annotations

import hashlib
import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest

from tests.parts import manners as ways
from tests.parts.manners import Manners
from tests.parts.memory_registry import MemoryRegistry
from tests.parts.registry_auth import BasicAuth
from tests.parts.stored import digest_of

BLOB = b"a layer" * 1000
DIGEST = digest_of(BLOB)
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"


@dataclass(slots=True)
class Answered:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


@dataclass(slots=True)
class Client:
    """Asks one registry over one connection."""

    host: str
    connection: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        self.connection = http.client.HTTPConnection(self.host, timeout=10)

    def ask(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answered:
        parts = urlsplit(url)
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        self.connection.request(method, target, body, headers or {})
        answer = self.connection.getresponse()
        return Answered(answer.status, answer.headers, answer.read())

    def start(self, query: str = "") -> Answered:
        return self.ask("POST", f"/v2/app/blobs/uploads/{query}")

    def push(self, data: bytes, algorithm: str = "sha256") -> Answered:
        location = self.start().headers["Location"]
        joint = "&" if "?" in location else "?"
        return self.ask("PUT", f"{location}{joint}digest={digest_of(data, algorithm)}", data)

    def put_manifest(self, value: dict[str, object], reference: str = "v1") -> Answered:
        data = json.dumps(value).encode()
        headers = {"Content-Type": MANIFEST_TYPE}
        return self.ask("PUT", f"/v2/app/manifests/{reference}", data, headers)


@pytest.fixture
def client(registry: MemoryRegistry) -> Iterator[Client]:
    made = Client(registry.host)
    yield made
    made.connection.close()


def behaving(manners: Manners) -> Iterator[tuple[MemoryRegistry, Client]]:
    with MemoryRegistry(manners) as registry:
        client = Client(registry.host)
        yield registry, client
        client.connection.close()


def manifest_of(*blobs: bytes) -> dict[str, object]:
    described = [
        {"mediaType": "application/octet-stream", "digest": digest_of(blob), "size": len(blob)}
        for blob in blobs
    ]
    return {"mediaType": MANIFEST_TYPE, "config": described[0], "layers": described[1:]}


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_blob_that_is_put_can_be_had_again(client: Client, algorithm: str) -> None:
    put = client.push(BLOB, algorithm)
    got = client.ask("GET", f"/v2/app/blobs/{digest_of(BLOB, algorithm)}")

    assert (put.status, got.status, got.body) == (201, 200, BLOB)
    assert put.headers["Docker-Content-Digest"] == digest_of(BLOB, algorithm)


def test_an_empty_blob_is_a_blob(registry: MemoryRegistry, client: Client) -> None:
    assert client.push(b"").status == 201
    assert registry.has_blob("app", digest_of(b""))


def test_a_blob_can_come_in_chunks_of_either_kind(client: Client) -> None:
    location = client.start().headers["Location"]
    ranged = client.ask("PATCH", location, BLOB[:10], {"Content-Range": "0-9"})
    client.connection.request("PATCH", location, iter([BLOB[10:20], BLOB[20:]]))
    streamed = client.connection.getresponse()
    streamed.read()
    status = client.ask("GET", location)
    done = client.ask("PUT", f"{location}?digest={DIGEST}")

    assert (ranged.headers["Range"], streamed.headers["Range"]) == ("0-9", f"0-{len(BLOB) - 1}")
    assert (status.status, status.headers["Range"]) == (204, f"0-{len(BLOB) - 1}")
    assert done.status == 201


def test_a_chunk_out_of_order_is_refused(client: Client) -> None:
    location = client.start().headers["Location"]

    assert client.ask("PATCH", location, b"x", {"Content-Range": "5-5"}).status == 416


def test_a_blob_with_another_digest_is_refused(registry: MemoryRegistry, client: Client) -> None:
    location = client.start().headers["Location"]
    refused = client.ask("PUT", f"{location}?digest={DIGEST}", b"something else")

    assert (refused.status, json.loads(refused.body)["errors"][0]["code"]) == (
        400,
        "DIGEST_INVALID",
    )
    assert registry.open_uploads("app") == 0


def test_a_manifest_needs_its_blobs_first(registry: MemoryRegistry, client: Client) -> None:
    early = client.put_manifest(manifest_of(b"{}", BLOB))
    client.push(b"{}")
    client.push(BLOB)
    late = client.put_manifest(manifest_of(b"{}", BLOB))

    assert json.loads(early.body)["errors"][0]["code"] == "MANIFEST_BLOB_UNKNOWN"
    assert (early.status, late.status, registry.tags("app")) == (400, 201, ["v1"])
    assert client.ask("GET", "/v2/app/manifests/v1").body == registry.manifest("app", "v1").data


def test_a_manifest_must_be_of_its_type_and_digest(client: Client) -> None:
    client.push(b"{}")
    lying = client.ask("PUT", "/v2/app/manifests/v1", b"{}", {"Content-Type": ""})

    assert lying.status == 400
    assert client.put_manifest(manifest_of(b"{}"), DIGEST).status == 400


def test_a_subject_is_acknowledged_and_referred_to(client: Client) -> None:
    client.push(b"{}")
    answer = client.put_manifest({**manifest_of(b"{}"), "subject": {"digest": DIGEST}})
    found = json.loads(client.ask("GET", f"/v2/app/referrers/{DIGEST}").body)

    assert answer.headers["OCI-Subject"] == DIGEST
    assert [each["digest"] for each in found["manifests"]] == [
        answer.headers["Docker-Content-Digest"]
    ]


def test_a_mount_says_whether_the_blob_is_there(registry: MemoryRegistry, client: Client) -> None:
    registry.add_blob("base", BLOB)

    assert client.start(f"?mount={DIGEST}&from=app").status == 202
    assert client.start(f"?mount={DIGEST}&from=base").status == 201
    assert client.start(f"?mount={DIGEST}&from=app").status == 201
    assert registry.has_blob("app", DIGEST)


@pytest.mark.parametrize(
    ("way", "status"), [("always-202", 202), ("400", 400), ("401", 401), ("403", 403), ("405", 405)]
)
def test_a_mount_can_go_otherwise(way: str, status: int) -> None:
    for registry, client in behaving(Manners(mount=way)):  # type: ignore[arg-type]
        registry.add_blob("base", BLOB)
        assert client.start(f"?mount={DIGEST}&from=base").status == status


@pytest.mark.parametrize(
    "location",
    [ways.PLAIN, ways.ABSOLUTE, ways.OTHER_PATH, ways.WITH_QUERY, ways.OTHER_HOST],
)
def test_every_kind_of_location_leads_to_the_session(location: str) -> None:
    for registry, client in behaving(Manners(location=location)):
        assert client.push(BLOB).status == 201
        assert registry.has_blob("app", DIGEST)


def test_an_old_location_ends_a_session_whose_state_has_moved_on() -> None:
    for registry, client in behaving(Manners(location=ways.WITH_QUERY)):
        location = client.start().headers["Location"]
        client.ask("PATCH", location, BLOB)
        assert client.ask("GET", location).status == 404
        assert registry.open_uploads("app") == 0


def test_a_status_can_be_off_by_one() -> None:
    for _, client in behaving(ways.QUAY):
        location = client.start().headers["Location"]
        client.ask("PATCH", location, b"12345")
        status = client.ask("GET", location)
        assert (status.headers["Range"], status.headers["Location"]) == ("bytes=0-5", None)


def test_limits_on_chunks_and_bodies_are_kept() -> None:
    for _, client in behaving(Manners(chunk_max=4, body_max=8)):
        location = client.start().headers["Location"]
        assert client.ask("PATCH", location, b"12345", {"Content-Range": "0-4"}).status == 416
        assert client.ask("PUT", f"{location}?digest={DIGEST}", BLOB).status == 413


def test_chunks_below_the_least_length_are_refused() -> None:
    for _, client in behaving(Manners(chunk_min=4, chunk_status=201)):
        started = client.start()
        location = started.headers["Location"]
        assert started.headers["OCI-Chunk-Min-Length"] == "4"
        assert client.ask("PATCH", location, b"123").status == 201
        assert client.ask("PATCH", location, b"4567").status == 416


def test_a_single_post_is_taken_where_that_is_known() -> None:
    for manners, status in ((ways.GITEA, 201), (Manners(), 202)):
        for registry, client in behaving(manners):
            url = f"/v2/app/blobs/uploads/?digest={DIGEST}"
            assert client.ask("POST", url, BLOB).status == status
            assert registry.has_blob("app", DIGEST) == (status == 201)


def test_heads_digests_and_answers_can_be_odd() -> None:
    odd = Manners(head_status=403, content_digest="wrong", blob_put_status=204, referrers=False)
    for _, client in behaving(odd):
        put = client.push(BLOB)
        assert (put.status, client.ask("HEAD", f"/v2/app/blobs/{DIGEST}").status) == (204, 403)
        assert put.headers["Docker-Content-Digest"] not in (None, DIGEST)
        assert client.ask("GET", f"/v2/app/referrers/{DIGEST}").status == 404


def test_a_session_can_be_cancelled(registry: MemoryRegistry, client: Client) -> None:
    location = client.start().headers["Location"]

    assert registry.open_uploads("app") == 1
    assert client.ask("DELETE", location).status == 204
    assert registry.open_uploads("app") == 0


def test_basic_authentication_lets_in_whom_it_knows() -> None:
    with MemoryRegistry(auth=BasicAuth({"me": "secret"})) as registry:
        client = Client(registry.host)
        refused = client.ask("GET", "/v2/")
        known = client.ask("GET", "/v2/", headers={"Authorization": "Basic bWU6c2VjcmV0"})
        client.connection.close()

    assert (refused.status, known.status) == (401, 200)
    assert refused.headers["WWW-Authenticate"] == 'Basic realm="test"'


def test_content_can_be_hashed_and_dropped() -> None:
    with MemoryRegistry(keep_content=False) as registry:
        client = Client(registry.host)
        put = client.push(BLOB)
        head = client.ask("HEAD", f"/v2/app/blobs/{DIGEST}")
        client.connection.close()

    assert (put.status, head.headers["Content-Length"]) == (201, str(len(BLOB)))
    assert registry.repositories["app"].blobs[DIGEST].data is None


def test_requests_are_recorded_in_order(registry: MemoryRegistry, client: Client) -> None:
    client.push(BLOB)
    post, put = registry.requests

    assert (post.method, post.path, post.body_length) == ("POST", "/v2/app/blobs/uploads/", 0)
    assert (put.method, put.body_length, put.status) == ("PUT", len(BLOB), 201)
    assert put.query == {"digest": [f"sha256:{hashlib.sha256(BLOB).hexdigest()}"]}
    assert post.connection == put.connection
    assert registry.seen("PUT", "uploads") == [put]
