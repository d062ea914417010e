"""Whom a push believes where no flag says so: what docker and podman were told on this machine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from idpbuilder.errors import TlsFailed
from tests.parts.certificates import Certificates
from tests.parts.images import ImageSpec, Layout, write_layout
from tests.parts.memory_registry import MemoryRegistry
from tests.push.conftest import Pusher


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return write_layout(tmp_path / "image", [ImageSpec()])


@pytest.fixture
def home(pusher: Pusher, monkeypatch: pytest.MonkeyPatch) -> Path:
    (pusher.home / ".config/containers").mkdir(parents=True)
    (pusher.home / ".docker").mkdir()
    for name in ("XDG_CONFIG_HOME", "CONTAINERS_REGISTRIES_CONF", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    return pusher.home


@pytest.fixture
def strange(certificates: Certificates) -> Iterator[MemoryRegistry]:
    """A registry whose authority this machine does not know."""
    with MemoryRegistry(tls=certificates.server.server_context()) as registry:
        yield registry


def test_a_folder_of_certs_d_brings_the_authority(
    pusher: Pusher, layout: Layout, home: Path, strange: MemoryRegistry, certificates: Certificates
) -> None:
    to = f"{strange.host}/team/app:v1"
    assert isinstance(pusher.fails(layout.path, to), TlsFailed)
    folder = home / ".config/containers/certs.d" / strange.host
    folder.mkdir(parents=True)
    shutil.copy(certificates.ca, folder / "ca.crt")
    pusher.push(layout.path, to)
    assert strange.tags("team/app") == ["v1"]
    assert f"certificates for {strange.host} are taken from `{folder}`" in pusher.recorder.notes


def test_what_podman_calls_insecure_is_so_for_that_repository_alone(
    pusher: Pusher, layout: Layout, home: Path, strange: MemoryRegistry
) -> None:
    path = home / ".config/containers/registries.conf"
    path.write_text(f'[[registry]]\nlocation = "{strange.host}/team"\ninsecure = true\n')
    pusher.push(layout.path, f"{strange.host}/team/app:v1")
    assert f"counts as `--insecure`, by `{path}`" in pusher.recorder.notes
    assert isinstance(pusher.fails(layout.path, f"{strange.host}/other/app:v1"), TlsFailed)


def test_what_docker_calls_insecure_is_so(
    pusher: Pusher, layout: Layout, home: Path, strange: MemoryRegistry
) -> None:
    (home / ".docker/daemon.json").write_text(f'{{"insecure-registries": ["{strange.host}"]}}')
    pusher.push(layout.path, f"{strange.host}/team/app:v1")
    assert isinstance(pusher.fails(layout.path, f"{strange.other_host}/team/app:v1"), TlsFailed)
