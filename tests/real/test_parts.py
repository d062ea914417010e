"""The real parts do what the tests rely on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.parts.distribution import PASSWORD, USER, Distribution
from tests.parts.images import ImageSpec, Layout, write_layout
from tests.parts.memory_registry import MemoryRegistry
from tests.parts.skopeo import Skopeo, blob_digests, root_digest
from tests.parts.token_service import TokenService

REGISTRIES = ["distribution", "tls_distribution", "htpasswd_distribution", "token_distribution"]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return write_layout(tmp_path / "image", (ImageSpec(real=True),))


def push(skopeo: Skopeo, layout: Layout, image: str, *options: str, ca: Path | None = None) -> None:
    verify = () if ca else ("--dest-tls-verify=false",)
    source = f"oci:{layout.path}"
    words = ("copy", "-q", "--preserve-digests", *verify, *options, source, f"docker://{image}")
    skopeo.run(*words, ca=ca)


@pytest.mark.parametrize("name", REGISTRIES)
def test_what_skopeo_pushes_every_distribution_gives_back(
    request: pytest.FixtureRequest,
    skopeo: Skopeo,
    pulled: Callable[..., Path],
    layout: Layout,
    name: str,
) -> None:
    registry: Distribution = request.getfixturevalue(name)
    open_to_all = name in ("distribution", "tls_distribution")
    login = None if open_to_all else f"{USER}:{PASSWORD}"
    options = ("--dest-creds", login) if login else ()
    image = f"{registry.host}/parts/app:v1"
    push(skopeo, layout, image, *options, ca=registry.ca)
    back = pulled(image, ca=registry.ca, login=login)

    assert root_digest(back) == layout.image.digest
    assert registry.manifest("parts/app", "v1").digest == layout.image.digest
    assert all(registry.has_blob("parts/app", blob) for blob in layout.image.blobs())
    assert (registry.tags("parts/app"), registry.open_uploads("parts/app")) == (["v1"], 0)
    assert set(layout.image.blobs()) < blob_digests(back)


def test_the_token_service_of_a_distribution_was_asked(
    token_distribution: Distribution, signed_tokens: TokenService, skopeo: Skopeo, layout: Layout
) -> None:
    before = len(signed_tokens.requests)
    creds = ("--dest-creds", f"{USER}:{PASSWORD}")
    push(skopeo, layout, f"{token_distribution.host}/parts/asked:v1", *creds)

    assert signed_tokens.requests[before].query["service"] == [signed_tokens.service]


def test_skopeo_takes_the_registry_in_memory_for_a_real_one(
    skopeo: Skopeo, pulled: Callable[..., Path], layout: Layout
) -> None:
    with MemoryRegistry() as registry:
        push(skopeo, layout, f"{registry.host}/app:v1")
        back = pulled(f"{registry.host}/app:v1")
        digest = registry.manifest("app", "v1").digest

    assert root_digest(back) == digest == layout.image.digest


def test_what_is_not_there_is_a_key_error(distribution: Distribution) -> None:
    with pytest.raises(KeyError):
        distribution.manifest("parts/nothing", "v1")
    assert not distribution.has_blob("parts/nothing", f"sha256:{'0' * 64}")
    assert distribution.tags("parts/nothing") == []
