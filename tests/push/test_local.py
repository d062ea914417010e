"""Whether a local blob is still what it was."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from idpbuilder.errors import ContentRefused, ImageChanged, ImageInvalid, ImageUnreadable
from idpbuilder.image import Digest
from idpbuilder.push.local import LocalBlob
from idpbuilder.push.tasks import Loop
from idpbuilder.registry.retry import Setback
from idpbuilder.wire import Region
from tests.push.scripted import ScriptedEngine

CONTENT = bytes(range(256)) * 40
BROKE = Setback(ContentRefused("x"))
DOUBTED = Setback(ContentRefused("x"), doubts_body=True)


def a_blob(path: Path, content: bytes = CONTENT) -> LocalBlob:
    file = path / "blob"
    file.write_bytes(b"head" + content + b"tail")
    return LocalBlob(Digest.of(CONTENT), Region(str(file), 4, len(content)))


def recheck(blob: LocalBlob, setback: Setback) -> None:
    engine = ScriptedEngine(lambda request: None)
    Loop(engine, check=lambda: None, clock=engine.clock).run(blob.recheck(setback))


def opened(blob: LocalBlob) -> LocalBlob:
    blob.open().close()
    return blob


def overwrite(blob: LocalBlob, content: bytes) -> None:
    before = os.stat(blob.region.path)
    Path(blob.region.path).write_bytes(content)
    os.utime(blob.region.path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("setback", [BROKE, DOUBTED])
def test_a_blob_that_is_what_it_was_may_be_sent_again(tmp_path: Path, setback: Setback) -> None:
    recheck(opened(a_blob(tmp_path)), setback)


def test_a_blob_that_changed_under_the_same_size_and_time_is_found_out(tmp_path: Path) -> None:
    blob = opened(a_blob(tmp_path))
    overwrite(blob, b"head" + CONTENT[::-1] + b"tail")
    with pytest.raises(ImageChanged, match="changed while it was pushed"):
        recheck(blob, BROKE)


def test_a_blob_that_became_shorter_is_found_out(tmp_path: Path) -> None:
    blob = opened(a_blob(tmp_path))
    overwrite(blob, b"head")
    with pytest.raises(ImageChanged):
        recheck(blob, BROKE)


def test_a_blob_that_was_never_what_its_digest_says_is_named_when_doubted(tmp_path: Path) -> None:
    blob = opened(a_blob(tmp_path, CONTENT[::-1]))
    recheck(blob, BROKE)
    with pytest.raises(ImageInvalid, match="is broken") as caught:
        recheck(blob, DOUBTED)
    assert str(Digest.of(CONTENT[::-1])) in caught.value.message


def test_a_blob_that_vanished_is_named_with_its_path(tmp_path: Path) -> None:
    blob = opened(a_blob(tmp_path))
    os.unlink(blob.region.path)
    with pytest.raises(ImageUnreadable, match=str(tmp_path)):
        recheck(blob, BROKE)


def test_a_body_reads_its_region_and_nothing_around_it(tmp_path: Path) -> None:
    blob = a_blob(tmp_path)
    reader = blob.open()
    buffer = memoryview(bytearray(2 * len(CONTENT)))
    count = reader.readinto(buffer)
    reader.close()
    assert bytes(buffer[:count]) == CONTENT
    assert blob.size == len(CONTENT)
