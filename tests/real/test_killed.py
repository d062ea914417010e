"""Pushes that are killed and made again, and pushes that go on at once."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from tests.faults.killed import killed_push
from tests.faults.pushes import Pushes
from tests.parts.distribution import Distribution
from tests.parts.images import ImageSpec
from tests.parts.skopeo import Skopeo

LARGE = 10_000_000
"""Bytes of a layer whose upload is written down."""


@pytest.fixture(scope="module")
def pushes(
    distribution: Distribution, skopeo: Skopeo, tmp_path_factory: pytest.TempPathFactory
) -> Pushes:
    return Pushes(distribution, skopeo, tmp_path_factory.mktemp("killed"))


@pytest.mark.parametrize("permille", [0, 250, 900, 1000])
@pytest.mark.parametrize("place", ["start", "send", "manifest"])
def test_a_killed_push_made_again_is_whole(pushes: Pushes, place: str, permille: int) -> None:
    image = pushes.image(f"{place}-{permille}", ImageSpec((LARGE, 20_000), seed=permille))
    killed = killed_push(pushes, image, place, permille)
    assert killed.first == -signal.SIGKILL
    assert killed.problems == []
    # whether or not the registry can go on, the second run sends nothing twice
    # and one body more where the registry is still busy with what the killed one sent
    assert killed.sent <= killed.before + 2 * image.size


@pytest.mark.parametrize("count", [2, 10])
def test_pushes_of_one_image_at_once_are_all_whole(pushes: Pushes, count: int) -> None:
    image, home = pushes.archive(f"together-{count}"), pushes.home(f"{count}-at-once")
    below = f"together/{count}"
    running = [
        pushes.start(home, image.path, f"{pushes.registry.url}/{below}") for _ in range(count)
    ]
    assert {_digest(process) for process in running} == {image.digest}
    pushes.check_whole(f"{below}/app", image, home / "copy")
    assert list((home / "tmp").iterdir()) == []


def test_pushes_of_different_images_to_one_repository_leave_one_of_them_whole(
    pushes: Pushes, tmp_path: Path
) -> None:
    images = [
        pushes.image(f"other-{number}", ImageSpec((300_000, 20_000, number + 1)))
        for number in range(10)
    ]
    home = pushes.home("different")
    place = f"{pushes.registry.url}/together/different"
    running = [pushes.start(home, image.path, place) for image in images]
    for image, process in zip(images, running, strict=True):
        assert _digest(process) == image.digest
    found = pushes.registry.manifest("together/different/app", "v1").digest
    (last,) = [image for image in images if image.digest == found]
    pushes.check_whole("together/different/app", last, tmp_path / "copy")


def _digest(process: subprocess.Popen[str]) -> str:
    """The digest that a push reached."""
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    return str(json.loads(out)["digest"])
