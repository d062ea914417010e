"""Pushes into CNCF Distribution, read back with skopeo; the command as users run it."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.parts.distribution import PASSWORD, USER, Distribution
from tests.parts.images import ImageSpec, IndexSpec, Layout, Spec, write_archive, write_layout
from tests.parts.programs import need
from tests.parts.skopeo import Skopeo, blob_digests, root_digest
from tests.parts.token_service import TokenService
from tests.real.command import Command

Pulled = Callable[..., Path]


def same(layout: Layout, copy: Path) -> bool:
    """Whether what was pulled is what was pushed."""
    image = layout.image
    here = {*image.documents(), *image.blobs()}
    return root_digest(copy) == image.digest and blob_digests(copy) == here


def test_the_seeds_output_to_the_letter(
    distribution: Distribution, command: Command, pulled: Pulled, tmp_path: Path
) -> None:
    spec = ImageSpec(layers=(2_500_000, 15_300), real=True)
    layout = write_layout(tmp_path / "image", [spec])
    place = f"{distribution.host}/letter/app"
    done = command(layout.path, "--to", f"{place}:v1", "--progress", "plain")
    lines = done.err.splitlines()
    assert done.code == 0, done.err
    assert lines[0] == f"Pushing image {layout.path} to {distribution.host}/letter..."
    assert sorted(line.split(" (")[0] for line in lines[1:3]) == [
        "✓ Layer 1/2 pushed",
        "✓ Layer 2/2 pushed",
    ]
    assert lines[3:] == ["✓ Manifest pushed successfully"]
    assert done.out == f"Image pushed: {place}:v1\n"
    assert same(layout, pulled(f"{place}:v1"))


@pytest.mark.parametrize(
    "spec",
    [
        ImageSpec(real=True),
        ImageSpec(real=True, docker=True),
        IndexSpec((ImageSpec(real=True), ImageSpec(real=True, platform="linux/arm64", seed=1))),
    ],
    ids=["oci", "docker schema 2", "index"],
)
@pytest.mark.parametrize("compress", [None, "gzip", "zstd"])
def test_an_archive_arrives_as_it_was(
    spec: Spec,
    compress: str | None,
    distribution: Distribution,
    command: Command,
    pulled: Pulled,
    tmp_path: Path,
) -> None:
    layout = write_layout(tmp_path / "image", [spec])
    archive = write_archive(tmp_path / "image.tar", layout, compress)
    done = command(archive, "--to", f"{distribution.host}/archive/app:v1", "--verify")
    assert done.code == 0, done.err
    assert done.err == ""
    assert same(layout, pulled(f"{distribution.host}/archive/app:v1"))


def test_attestations_travel_with_their_index(
    distribution: Distribution, command: Command, tmp_path: Path
) -> None:
    layout = write_layout(tmp_path / "image", [IndexSpec(attested=True)])
    done = command(layout.path, "--to", f"{distribution.host}/attested/app:v1")
    assert done.code == 0, done.err
    for digest in layout.image.documents():
        assert distribution.manifest("attested/app", digest).data == layout.read(digest)
    for digest in layout.image.blobs():
        assert distribution.blob("attested/app", digest) == layout.read(digest)


def test_a_platform_is_pushed_alone_under_the_tag(
    distribution: Distribution, command: Command, tmp_path: Path
) -> None:
    layout = write_layout(tmp_path / "image", [IndexSpec(attested=True)])
    to = f"{distribution.host}/platform/app:v1"
    done = command(layout.path, "--to", to, "--platform", "linux/arm64/v8")
    assert done.code == 0, done.err
    stored = distribution.manifest("platform/app", "v1")
    assert stored.digest == layout.image.children[1].digest
    done = command(layout.path, "--to", to, "--platform", "linux/s390x")
    assert done.code == 4
    assert "linux/arm64" in done.err


def test_a_second_push_sends_nothing(
    distribution: Distribution, command: Command, tmp_path: Path
) -> None:
    layout = write_layout(tmp_path / "image", [IndexSpec()])
    arguments = (layout.path, "--to", f"{distribution.host}/twice/app:v1", "--output", "json")
    first, second = (json.loads(command(*arguments).out) for _ in range(2))
    assert {layer["status"] for layer in first["layers"]} == {"pushed"}
    assert {layer["status"] for layer in second["layers"]} == {"exists"}
    assert second["bytesSent"] == 0
    assert first["digest"] == second["digest"] == layout.image.digest
    assert first["platforms"] == ["linux/amd64", "linux/arm64"]


def test_blobs_are_found_and_mounted(
    distribution: Distribution, command: Command, tmp_path: Path
) -> None:
    base = write_layout(tmp_path / "base", [ImageSpec(layers=(b"shared" * 500_000,))])
    app = write_layout(tmp_path / "app", [ImageSpec(layers=(b"shared" * 500_000, b"own"))])
    host = distribution.host
    command(base.path, "--to", f"{host}/found/app:base")
    done = command(app.path, "--to", f"{host}/found/app:v1", "--to", f"{host}/mounted/app:v1",
                   "--output", "json")  # fmt: skip
    found, mounted = (json.loads(line) for line in done.out.splitlines())
    assert [layer["status"] for layer in found["layers"]] == ["exists", "pushed"]
    assert [layer["status"] for layer in mounted["layers"]] == ["mounted", "mounted"]
    assert distribution.manifest("mounted/app", "v1").digest == app.image.digest


def test_tls_with_a_known_ca_needs_nothing_and_without_it_says_what_to_do(
    tls_distribution: Distribution, command: Command, pulled: Pulled, tmp_path: Path
) -> None:
    layout = write_layout(tmp_path / "image", [ImageSpec(real=True)])
    to = f"{tls_distribution.host}/tls/app:v1"
    refused = command(layout.path, "--to", to)
    assert refused.code == 3
    assert "--insecure" in refused.err
    assert tls_distribution.tags("tls/app") == []
    ca = str(tls_distribution.ca)
    done = command(layout.path, "--to", to, SSL_CERT_FILE=ca)
    assert done.code == 0, done.err
    assert same(layout, pulled(to, ca=tls_distribution.ca))
    assert command(layout.path, "--to", to, "--insecure").code == 0
    assert command(layout.path, "--to", to, IDPBUILDER_REGISTRY_INSECURE="true").code == 0


def login(home: Path, host: str) -> None:
    auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    (home / ".docker").mkdir()
    (home / ".docker/config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))


@pytest.mark.parametrize("kind", ["htpasswd_distribution", "token_distribution"])
def test_credentials_come_from_flags_variables_and_docker_login(
    kind: str, command: Command, pulled: Pulled, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    registry: Distribution = request.getfixturevalue(kind)
    layout = write_layout(tmp_path / "image", [ImageSpec(real=True)])
    place = f"{registry.host}/signed/app"
    user = ("--username", USER)
    variables = {"IDPBUILDER_REGISTRY_USER": USER, "IDPBUILDER_REGISTRY_PASSWORD": PASSWORD}
    assert command(layout.path, "--to", f"{place}:none").code == 2
    wrong = command(layout.path, "--to", f"{place}:none", *user, "--password", "wr0ng", "-v")
    assert wrong.code == 2
    assert "wr0ng" not in wrong.err
    flags = command(layout.path, "--to", f"{place}:flags", *user, "--password", PASSWORD, "-v")
    assert flags.code == 0, flags.err
    assert PASSWORD not in flags.err
    assert "auth" in flags.err
    assert command(layout.path, "--to", f"{place}:variables", **variables).code == 0
    piped = command(layout.path, "--to", f"{place}:stdin", *user, "--password-stdin",
                    stdin=f"{PASSWORD}\n")  # fmt: skip
    assert piped.code == 0, piped.err
    login(command.home, registry.host)
    assert command(layout.path, "--to", f"{place}:login").code == 0
    assert registry.tags("signed/app") == ["flags", "login", "stdin", "variables"]
    assert same(layout, pulled(f"{place}:login", login=f"{USER}:{PASSWORD}"))


def test_a_token_is_fetched_once_and_serves_the_whole_push(
    token_distribution: Distribution,
    signed_tokens: TokenService,
    command: Command,
    tmp_path: Path,
) -> None:
    layout = write_layout(tmp_path / "image", [ImageSpec(layers=range(1000, 1020))])
    login(command.home, token_distribution.host)
    before = len(signed_tokens.requests)
    done = command(layout.path, "--to", f"{token_distribution.host}/once/app:v1")
    assert done.code == 0, done.err
    assert len(signed_tokens.requests) == before + 1


def test_a_mount_is_signed_in_for_its_source_too(
    token_distribution: Distribution, command: Command, tmp_path: Path
) -> None:
    layout = write_layout(tmp_path / "image", [ImageSpec(layers=(5000, 6000))])
    login(command.home, token_distribution.host)
    host = token_distribution.host
    done = command(layout.path, "--to", f"{host}/source/app:v1", "--to", f"{host}/target/app:v1",
                   "--output", "json")  # fmt: skip
    second = json.loads(done.out.splitlines()[1])
    assert {layer["status"] for layer in second["layers"]} == {"mounted"}


def test_quiet_prints_the_digest_and_the_digestfile_holds_it(
    distribution: Distribution, command: Command, tmp_path: Path
) -> None:
    layout = write_layout(tmp_path / "image", [ImageSpec()])
    place, file = f"{distribution.host}/quiet/app", tmp_path / "digest"
    done = command(layout.path, "--to", f"{place}:v1", "-q", "--digestfile", file)
    expected = f"{place}@{layout.image.digest}\n"
    assert (done.code, done.out, done.err) == (0, expected, "")
    assert file.read_text() == expected


def test_a_dry_run_leaves_the_registry_as_it_was(
    distribution: Distribution, command: Command, tmp_path: Path
) -> None:
    layout = write_layout(tmp_path / "image", [ImageSpec()])
    done = command(layout.path, "--to", f"{distribution.host}/dry/app:v1", "--dry-run")
    assert done.code == 0, done.err
    assert "would be pushed" in done.out
    assert distribution.tags("dry/app") == []
    assert distribution.open_uploads("dry/app") == 0


@pytest.mark.parametrize("form", ["oci", "oci-archive"])
def test_what_skopeo_made_is_pushed_and_pulled_whole(
    form: str,
    distribution: Distribution,
    command: Command,
    skopeo: Skopeo,
    pulled: Pulled,
    tmp_path: Path,
) -> None:
    layout = write_layout(tmp_path / "image", [ImageSpec(real=True, ref="v1")])
    made = tmp_path / "made"
    skopeo.run("copy", f"oci:{layout.path}:v1", f"{form}:{made}:app:v2")
    to = f"{distribution.host}/skopeo/{form}"
    done = command(f"{form}:{made}", "--registry", f"http://{distribution.host}/skopeo")
    assert done.code == 0, done.err
    done = command(f"{form}:{made}:app:v2", "--to", f"{to}:v2")
    assert done.code == 0, done.err
    assert root_digest(pulled(f"{to}:v2")) == distribution.manifest("skopeo/app", "v2").digest


def test_what_umoci_made_is_pushed_and_pulled_whole(
    distribution: Distribution, command: Command, pulled: Pulled, tmp_path: Path
) -> None:
    umoci, made, file = need("umoci"), tmp_path / "made", tmp_path / "file"
    file.write_text("something")
    for arguments in (
        ("init", "--layout", made),
        ("new", "--image", f"{made}:v3"),
        ("insert", "--image", f"{made}:v3", "--rootless", file, "/file"),
    ):
        subprocess.run([umoci, *map(str, arguments)], check=True, capture_output=True)
    to = f"{distribution.host}/umoci/app"
    done = command(f"oci:{made}:v3", "--to", to)
    assert done.code == 0, done.err
    copy = pulled(f"{to}:v3")
    assert root_digest(copy) == distribution.manifest("umoci/app", "v3").digest


def build(home: Path, *arguments: object) -> Any:
    """Run buildah with storage of its own."""
    storage = ("--root", home / "root", "--runroot", home / "run", "--storage-driver", "vfs")
    command = [need("buildah"), *storage, *arguments]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_what_buildah_made_is_pushed_and_pulled_whole(
    distribution: Distribution, command: Command, pulled: Pulled, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("something else")
    container = build(tmp_path, "from", "scratch")
    build(tmp_path, "copy", container, tmp_path / "file", "/file")
    archive = tmp_path / "made.tar"
    build(tmp_path, "commit", "-q", container, f"oci-archive:{archive}:app:v4")
    done = command(archive, "--registry", f"http://{distribution.host}/buildah")
    assert done.code == 0, done.err
    copy = pulled(f"{distribution.host}/buildah/app:v4")
    assert root_digest(copy) == distribution.manifest("buildah/app", "v4").digest
