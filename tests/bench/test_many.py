"""Many images share what they share, loops push each of them, and their peaks do not grow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.parts import corpus
from bench.parts.corpus import LIST, Many, Source
from bench.parts.cost import scaled
from bench.parts.launcher import most_files
from bench.parts.peers import PEERS, Destination

SOURCE = Source("many", "/a folder", 0, 0, images=("app-0000", "app-0001"))


def command(name: str, program: str) -> list[str]:
    """What has the peer of this name push SOURCE."""
    (peer,) = (peer for peer in PEERS if peer.name == name)
    return peer.commands["many"](program, SOURCE, Destination("host", "below", plain=False))


def test_ours_is_given_the_list_and_where_all_of_it_goes() -> None:
    assert command("idpbuilder", "ours") == [
        "ours", "push", "--from-file", f"/a folder/{LIST}", "--registry", "host/below"
    ]  # fmt: skip


def test_a_peer_pushes_each_image_in_a_loop() -> None:
    done = subprocess.run(command("crane", "echo"), capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "push /a folder/app-0000 host/below/app-0000:v1",
        "push /a folder/app-0001 host/below/app-0001:v1",
    ]


def test_a_loop_ends_with_the_first_failure() -> None:
    done = subprocess.run(command("skopeo", "false"), check=False)
    assert done.returncode == 1


def test_images_have_files_of_their_own_and_share_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus, "BUILD", tmp_path)
    with Many("alike", 3, (100,), shared=(2000, 1000)).opened() as source:
        folder = Path(source.where)
    listed = (folder / LIST).read_text().splitlines()
    assert listed == [f"oci:{image}" for image in source.images]
    files = [file.stat() for image in source.images for file in (folder / image).glob("blobs/*/*")]
    assert len(files) == 3 * 5
    layers = {stat.st_ino: stat.st_size for stat in files if stat.st_size in (100, 1000, 2000)}
    assert sorted(layers.values()) == [100, 100, 100, 1000, 2000]
    assert source.size == sum(layers.values())
    assert source.blobs == len(layers) + 3


def test_what_a_loop_takes_grows_with_it_but_for_peaks() -> None:
    sample = {"seconds": 2.0, "cpu": 1.0, "requests": 40.0, "memory": 20.0, "files": 9.0}
    assert scaled(sample, 15) == {
        "seconds": 30.0, "cpu": 15.0, "requests": 600.0, "memory": 20.0, "files": 9.0
    }  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="no /proc")
def test_files_are_counted_until_the_process_ends() -> None:
    program = "files = [open('/dev/null') for _ in range(50)]; print(flush=True); input()"
    child = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stdin is not None
    with child.stdout, child.stdin as stdin:
        child.stdout.readline()

        def ends() -> None:
            stdin.close()

        assert most_files(child.pid, ends) == 53
    child.wait()
