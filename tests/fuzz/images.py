"""Layouts and archives that nobody meant: their documents, their tar headers, their compression."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from idpbuilder.errors import PushError
from idpbuilder.source import SourceImage, open_source
from tests.fuzz.mutation import JsonMutator, Mutator, encoded
from tests.fuzz.targets import Target
from tests.parts.docker_archives import Saved, members_of
from tests.parts.images import ImageSpec, IndexSpec, compressed, write_layout

Members = dict[str, bytes]
_NAMES = ("index.json", "oci-layout", "manifest.json", "blobs/sha256", "../x", "/etc/x", "a" * 200)
_BLOCK = tarfile.BLOCKSIZE


def look_at(path: str) -> None:
    """Open it as the command does, and see that nothing lies outside of what was opened."""
    with open_source(path, None, _nothing) as images:
        for image in images:
            _check(image)


def _check(image: SourceImage) -> None:
    assert image.documents
    for one in image.documents:
        assert one.descriptor.digest.matches(one.data) or not image.blobs
    for region in image.blobs.values():
        fd = region.open_fd()
        try:
            assert 0 <= region.offset + region.size <= os.fstat(fd).st_size
        finally:
            os.close(fd)


class Folder:
    """Where the inputs of one target lie, one after the other."""

    def __init__(self) -> None:
        # in memory where there is such a place: a million files are many
        within = "/dev/shm" if os.path.isdir("/dev/shm") else None
        self.path = Path(tempfile.mkdtemp(prefix="fuzz-", dir=within))

    def archive(self, data: bytes) -> None:
        """Look at `data` as a file."""
        file = self.path / "image.tar"
        file.write_bytes(data)
        look_at(str(file))

    def layout(self, data: bytes) -> None:
        """Look at the members in `data` as a folder."""
        root = self.path / "layout"
        shutil.rmtree(root, ignore_errors=True)
        (root / "blobs" / "sha256").mkdir(parents=True)
        for name, content in unpacked(data).items():
            (root / name).write_bytes(content)
        look_at(str(root))

    def members(self, data: bytes) -> None:
        """Look at the members in `data` as a tar."""
        self.archive(tar_of(unpacked(data)))

    def close(self) -> None:
        """Remove it."""
        shutil.rmtree(self.path)


class Images:
    """Makes images whose documents are bent, and whose digests are right again: else no reader
    would come to what is in them.
    """

    def __init__(self, seeds: list[Members], number: int) -> None:
        self._chance = random.Random(number)
        self._seeds = seeds
        self._bend = JsonMutator([{}], number)

    def __call__(self) -> bytes:
        members = dict(self._chance.choice(self._seeds))
        name = self._chance.choice([name for name, data in members.items() if _is_json(data)])
        document = self._bend.bent(json.loads(members[name]))
        data = encoded(document)
        if self._chance.random() < 0.1:
            data = Mutator([data], number=self._chance.randrange(2**32))()
        replace(members, name, data)
        if self._chance.random() < 0.1:
            del members[self._chance.choice(list(members))]
        return packed(members)


def replace(members: Members, name: str, data: bytes) -> None:
    """Put `data` in the place of a member, and of its digest and size wherever they stand."""
    old, new = members.pop(name), hashlib.sha256(data).hexdigest()
    before = hashlib.sha256(old).hexdigest()
    members[name.replace(before, new)] = data
    for other, content in list(members.items()):
        if before.encode() in content and _is_json(content):
            changed = content.replace(before.encode(), new.encode())
            changed = changed.replace(b'"size": %d' % len(old), b'"size": %d' % len(data))
            changed = changed.replace(b'"size":%d' % len(old), b'"size":%d' % len(data))
            replace(members, other, changed)
            return


class Tars:
    """Makes tars whose headers are bent, and whose sums are right again."""

    def __init__(self, seeds: list[Members], number: int) -> None:
        self._chance = random.Random(number)
        self._seeds = [tar_of(seed) for seed in seeds]

    def __call__(self) -> bytes:
        chance = self._chance
        data = bytearray(chance.choice(self._seeds))
        for _ in range(chance.choice((1, 1, 2, 3))):
            self._bend(data)
        if chance.random() < 0.1:
            del data[chance.randrange(len(data)) :]
        return bytes(data)

    def _bend(self, data: bytearray) -> None:
        chance = self._chance
        headers = [
            place
            for place in range(0, len(data) - _BLOCK + 1, _BLOCK)
            if data[place + 257 : place + 262] == b"ustar"
        ]
        if not headers:
            return
        at = chance.choice(headers)
        begin, end = chance.choice(_FIELDS)
        value = chance.choice(_FIELD_VALUES)(chance)[: end - begin]
        data[at + begin : at + begin + len(value)] = value
        if chance.random() < 0.95:
            blanked = bytes(data[at : at + 148]) + b" " * 8 + bytes(data[at + 156 : at + _BLOCK])
            data[at + 148 : at + 156] = b"%06o\0 " % sum(blanked)


# name, size, type flag, link name, device numbers, prefix
_FIELDS = ((0, 100), (124, 136), (124, 136), (156, 157), (156, 157), (157, 257), (329, 345))
_FIELDS += ((345, 500), (100, 108), (136, 148))
_FIELD_VALUES: tuple[Callable[[random.Random], bytes], ...] = (
    lambda chance: b"%011o\0" % chance.choice((0, 1, 511, 512, 513, 10**6, 8**11 - 1)),
    lambda chance: bytes([chance.choice((0x80, 0xFF))]) + chance.randbytes(11),
    lambda chance: chance.choice((b"0", b"1", b"2", b"5", b"x", b"g", b"L", b"K", b"S", b"7")),
    lambda chance: chance.choice(_NAMES).encode() + b"\0",
    lambda chance: chance.randbytes(chance.choice((1, 8, 100))),
    lambda chance: b"\0" * 155,
)


class Squeezed:
    """Makes compressed tars that are bent."""

    def __init__(self, seeds: list[Members], number: int) -> None:
        tars = [tar_of(seed) for seed in seeds]
        both = [compressed(tar, how) for tar in tars for how in ("gzip", "zstd")]
        self._mutator = Mutator([*both, both[0] + both[0], both[0] + both[1]], number=number)

    def __call__(self) -> bytes:
        return self._mutator()


def tar_of(members: Mapping[str, bytes]) -> bytes:
    """A plain tar."""
    parts = []
    for name, data in members.items():
        member = tarfile.TarInfo(name)
        member.size = len(data)
        parts += [member.tobuf(tarfile.GNU_FORMAT), data, bytes(-len(data) % _BLOCK)]
    return b"".join([*parts, bytes(2 * _BLOCK)])


def packed(members: Members) -> bytes:
    """All members as one input."""
    return json.dumps({k: base64.b64encode(v).decode() for k, v in members.items()}).encode()


def unpacked(data: bytes) -> Members:
    """The members again."""
    return {name: base64.b64decode(text) for name, text in json.loads(data).items()}


def _is_json(data: bytes) -> bool:
    return data[:1] in (b"{", b"[")


def _layouts() -> list[Members]:
    specs: list[Any] = [
        ImageSpec((30, 40), name="app:v1"),
        IndexSpec((ImageSpec((5,)), ImageSpec((6,), platform="linux/arm64", seed=1)), ref="v1"),
        ImageSpec((7,), docker=True, foreign=1, algorithm="sha256"),
    ]
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for number, spec in enumerate(specs):
            root = write_layout(Path(folder) / str(number), [spec]).path
            files = [file for file in sorted(root.rglob("*")) if file.is_file()]
            found.append({str(file.relative_to(root)): file.read_bytes() for file in files})
    return found


def _saved(shape: str) -> Members:
    members = members_of([Saved((30, 40), tags=("app:v1", "team/app:v2"))], shape)
    return {name: data for name, data in members.items() if isinstance(data, bytes)}


def targets() -> tuple[Target, ...]:
    """What needs files; each has a folder, and is to be closed."""
    layouts = _layouts()
    saved = [_saved(shape) for shape in ("classic", "hybrid", "podman")]

    def target(name: str, inputs: Any, seeds: list[Members], how: str) -> Target:
        folder = Folder()
        run = getattr(folder, how)
        return Target(name, partial(inputs, seeds), run, (PushError,), folder.close)

    return (
        target("layout", Images, layouts, "layout"),
        target("OCI archive", Images, layouts, "members"),
        target("docker archive", Images, saved, "members"),
        target("tar", Tars, [*layouts, *saved], "archive"),
        target("compressed archive", Squeezed, [layouts[0], saved[0]], "archive"),
    )


def _nothing() -> None:
    pass
