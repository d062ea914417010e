"""What a push costs in requests, connections and bytes: the same on every machine."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from idpbuilder.transport.lanes import NEAR_WIDTH
from tests.parts.certificates import Certificates
from tests.parts.distribution import Distribution, DistributionOptions
from tests.parts.images import ImageSpec, write_layout
from tests.parts.programs import need
from tests.real.command import Command, Done

LAYERS = 30


@pytest.fixture
def secured(certificates: Certificates) -> Iterator[Distribution]:
    """A registry that nobody else asks anything."""
    need("docker-registry")
    with Distribution(DistributionOptions(tls=certificates.server, ca=certificates.ca)) as running:
        yield running


def push(command: Command, registry: Distribution, spec: ImageSpec, folder: Path) -> Done:
    layout = write_layout(folder, [spec])
    to = f"{registry.host}/cost/app:v1"
    done = command(layout.path, "--to", to, "--output", "json", SSL_CERT_FILE=str(registry.ca))
    assert done.code == 0, done.err
    return done


def test_an_image_costs_two_requests_for_each_blob_and_two_for_its_manifest(
    secured: Distribution, command: Command, tmp_path: Path
) -> None:
    done = push(command, secured, ImageSpec((1_000,) * LAYERS), tmp_path / "image")
    blobs = LAYERS + 1
    heard = secured.heard(2 * blobs + 2)
    assert Counter(one.method for one in heard) == {"HEAD": 1, "POST": blobs, "PUT": blobs + 1}
    assert {one.version for one in heard} == {"HTTP/2.0"}
    assert len(secured.clients) == 1
    assert json.loads(done.out)["requests"] == len(heard)


def test_large_layers_take_connections_of_their_own_and_no_more_than_a_few(
    secured: Distribution, command: Command, tmp_path: Path
) -> None:
    push(command, secured, ImageSpec((200_000,) * LAYERS), tmp_path / "image")
    heard = secured.heard(2 * LAYERS + 4)
    apart = [one for one in heard if one.version == "HTTP/1.1"]
    assert {one.method for one in apart} == {"PUT"}
    assert len(apart) == LAYERS
    assert len(secured.clients) <= 1 + NEAR_WIDTH


def test_an_unchanged_image_costs_one_request(
    secured: Distribution, command: Command, tmp_path: Path
) -> None:
    spec = ImageSpec((1_000,) * 3)
    push(command, secured, spec, tmp_path / "first")
    before = len(secured.heard(2 * 4 + 2))
    done = push(command, secured, spec, tmp_path / "second")
    assert [one.method for one in secured.heard(before + 1)[before:]] == ["HEAD"]
    assert json.loads(done.out)["bytesSent"] == 0


def test_a_changed_layer_costs_its_own_bytes_and_a_question_for_each_other_one(
    secured: Distribution, command: Command, tmp_path: Path
) -> None:
    push(command, secured, ImageSpec((1_000,) * LAYERS), tmp_path / "first")
    before = len(secured.heard(2 * LAYERS + 4))
    changed = ImageSpec((*(1_000,) * (LAYERS - 1), 5_000))
    done = push(command, secured, changed, tmp_path / "second")
    # the root; a probe for each blob; the new layer, the config and the manifest
    expected = 1 + (LAYERS + 1) + 3
    heard = secured.heard(before + expected)[before:]
    assert len(heard) == expected
    assert json.loads(done.out)["bytesSent"] < 20_000
