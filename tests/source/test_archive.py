"""OCI archives: blobs are found where they lie, and hostile tars have an end."""

from __future__ import annotations

import contextlib
import functools
import gzip
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from idpbuilder.errors import ImageInvalid, ImageNotFound, LocalError, SourceError
from idpbuilder.source import archive as archive_module
from idpbuilder.source import open_source
from idpbuilder.source import spool as spool_module
from tests.parts.images import (
    ImageSpec,
    IndexSpec,
    Layout,
    Spec,
    compressed,
    write_archive,
    write_layout,
)
from tests.source.opened import blobs_of, content, documents_of, ignore, images_of, opened

Members = list[tuple[tarfile.TarInfo, bytes]]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return write_layout(tmp_path / "app", [ImageSpec(layers=(1000, 200_000), ref="v1")])


def members_of(layout: Layout) -> Members:
    found = []
    for file in sorted(path for path in layout.path.rglob("*") if path.is_file()):
        data = file.read_bytes()
        found.append((member(str(file.relative_to(layout.path)), data), data))
    return found


def member(name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type = len(data), kind
    return info


def tar_of(members: Members, format: int = tarfile.PAX_FORMAT) -> bytes:  # noqa: A002
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def written(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "image.tar"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("prefix", ["", "./"])
@pytest.mark.parametrize("compress", [None, "gzip", "zstd"])
def test_every_blob_can_be_read_in_its_region(
    tmp_path: Path, layout: Layout, compress: str | None, prefix: str
) -> None:
    path = write_archive(tmp_path / "image", layout, compress, prefix)
    with opened(path) as (image,):
        assert image.label == str(path)
        assert image.tag == "v1"
        assert documents_of(image) == [layout.image.digest]
        assert blobs_of(image) == set(layout.image.blobs())
        for digest, region in image.blobs.items():
            assert digest.matches(content(region))


def test_a_plain_archive_is_never_extracted(tmp_path: Path, layout: Layout) -> None:
    path = write_archive(tmp_path / "image.tar", layout)
    (image,) = images_of(path)
    assert {region.path for region in image.blobs.values()} == {str(path)}
    assert {region.fd for region in image.blobs.values()} == {None}


def test_a_spool_has_no_name_and_is_closed_at_the_end(
    tmp_path: Path, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    spools = tmp_path / "spools"
    spools.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(spools))
    path = write_archive(tmp_path / "image.tar.gz", layout, "gzip")
    with opened(path) as (image,):
        assert list(spools.iterdir()) == []
        (fd,) = {region.fd for region in image.blobs.values()}
        assert fd is not None
        os.fstat(fd)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_ref_picks_an_image_of_an_archive(tmp_path: Path) -> None:
    specs: list[Spec] = [ImageSpec(ref="app:v1"), IndexSpec(ref="app:v2")]
    layout = write_layout(tmp_path / "app", specs)
    path = write_archive(tmp_path / "image.tar", layout)
    (image,) = images_of(f"oci-archive:{path}:app:v2")
    assert documents_of(image) == list(layout.images[1].documents())
    assert len(images_of(f"oci-archive:{path}")) == 2


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_tar_format_is_read(tmp_path: Path, form: int) -> None:
    # names with sha512 digests are too long for the oldest format
    algorithm = "sha256" if form == tarfile.USTAR_FORMAT else "sha512"
    layout = write_layout(tmp_path / "app", [ImageSpec(algorithm=algorithm)])
    (image,) = images_of(written(tmp_path, tar_of(members_of(layout), form)))
    assert blobs_of(image) == set(layout.image.blobs())


def test_names_are_normalised_as_text(tmp_path: Path, layout: Layout) -> None:
    members = members_of(layout)
    for info, _ in members:
        info.name = f"./x/..//{info.name}"
    assert len(images_of(written(tmp_path, tar_of(members)))) == 1


def test_members_elsewhere_are_ignored_whatever_they_are(tmp_path: Path, layout: Layout) -> None:
    link = member("latest", kind=tarfile.SYMTYPE)
    link.linkname = "/etc/passwd"
    other: Members = [
        (link, b""),
        (member("/index.json", b"{"), b"{"),
        (member("../index.json", b"{"), b"{"),
        (member("blobs", kind=tarfile.DIRTYPE), b""),
        (member("blobs/sha256", kind=tarfile.DIRTYPE), b""),
        (member("device", kind=tarfile.CHRTYPE), b""),
    ]
    (image,) = images_of(written(tmp_path, tar_of(members_of(layout) + other)))
    assert blobs_of(image) == set(layout.image.blobs())


def test_of_two_members_with_one_name_the_later_counts(tmp_path: Path, layout: Layout) -> None:
    members: Members = [(member("index.json", b"{"), b"{"), *members_of(layout)]
    assert len(images_of(written(tmp_path, tar_of(members)))) == 1


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize("name", ["index.json", "oci-layout", "blob"])
def test_a_member_that_is_a_link_is_refused(
    tmp_path: Path, layout: Layout, kind: bytes, name: str
) -> None:
    if name == "blob":
        name = "blobs/" + layout.image.layers[0].replace(":", "/")
    link = member(f"./{name}", kind=kind)
    link.linkname = "/etc/passwd"
    members = [one for one in members_of(layout) if one[0].name != name]
    with pytest.raises(ImageInvalid, match=f"`{name}` is a link"):
        images_of(written(tmp_path, tar_of([*members, (link, b"")])))


def test_a_sparse_member_is_refused(tmp_path: Path, layout: Layout) -> None:
    sparse = member("index.json", b"{}")
    sparse.pax_headers = {"GNU.sparse.major": "0", "GNU.sparse.map": "0,2", "GNU.sparse.size": "2"}
    with pytest.raises(ImageInvalid, match="is no plain file"):
        images_of(written(tmp_path, tar_of([*members_of(layout), (sparse, b"{}")])))


def test_a_device_in_the_place_of_a_blob_is_refused(tmp_path: Path, layout: Layout) -> None:
    device = member("blobs/sha256/x", kind=tarfile.CHRTYPE)
    with pytest.raises(ImageInvalid, match="is no plain file"):
        images_of(written(tmp_path, tar_of([*members_of(layout), (device, b"")])))


def test_an_empty_file_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(ImageInvalid, match="it is empty"):
        images_of(written(tmp_path, b""))


@pytest.mark.parametrize("compress", [None, "gzip", "zstd"])
@pytest.mark.parametrize("data", [b"x", b"no tar", b"PK\x03\x04" * 500, b"\x01" * 5000])
def test_what_is_no_tar_is_no_image(tmp_path: Path, compress: str | None, data: bytes) -> None:
    with pytest.raises(ImageInvalid, match="is no tar archive") as caught:
        images_of(written(tmp_path, compressed(data, compress)))
    assert "OCI layout" in caught.value.hint


@pytest.mark.parametrize("data", [b"\0" * 10240, tar_of([(member("file", b"x"), b"x")])])
def test_a_tar_without_index_is_no_image(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ImageInvalid, match=r"no `index\.json`"):
        images_of(written(tmp_path, data))


def test_a_tar_without_oci_layout_is_no_image(tmp_path: Path, layout: Layout) -> None:
    (layout.path / "oci-layout").unlink()
    with pytest.raises(ImageInvalid, match="no `oci-layout`"):
        images_of(write_archive(tmp_path / "image.tar", layout))


def test_a_plain_oci_archive_is_not_packed_anew(tmp_path: Path, layout: Layout) -> None:
    (image,) = images_of(written(tmp_path, tar_of(members_of(layout))))
    assert not image.repack


def test_an_archive_with_both_forms_is_read_as_oci_and_packed(
    tmp_path: Path, layout: Layout
) -> None:
    members: Members = [*members_of(layout), (member("manifest.json", b"[]"), b"[]")]
    path = written(tmp_path, tar_of(members))
    for text in (path, f"oci-archive:{path}", f"docker-archive:{path}:v1"):
        (image,) = images_of(text)
        assert image.repack
        assert documents_of(image) == [layout.image.digest]


def test_an_oci_archive_that_is_called_a_docker_one_is_refused(
    tmp_path: Path, layout: Layout
) -> None:
    path = written(tmp_path, tar_of(members_of(layout)))
    with pytest.raises(ImageInvalid, match=r"no `manifest\.json`") as caught:
        images_of(f"docker-archive:{path}")
    assert caught.value.hint == f"name it as `oci-archive:{path}`"


@pytest.mark.parametrize("compress", [None, "gzip", "zstd"])
def test_an_archive_cut_anywhere_is_invalid(
    tmp_path: Path, layout: Layout, compress: str | None
) -> None:
    # `index.json` and `oci-layout` come last, so whatever is cut off is missed
    data = compressed(tar_of(members_of(layout)), compress)
    end = data.rindex(b"1.0.0") if compress is None else len(data) - 1
    for cut in (3, 100, 511, 512, 700, 1024, end // 2, end // 2 + 512, end):
        with pytest.raises(ImageInvalid):
            images_of(written(tmp_path, data[:cut]))


def test_a_broken_header_in_the_middle_is_not_taken_for_the_end(
    tmp_path: Path, layout: Layout
) -> None:
    data = bytearray(tar_of([*members_of(layout), (member("last", b"x"), b"x")]))
    place = data.rindex(b"last")
    data[place] ^= 0xFF
    with pytest.raises(ImageInvalid, match="cut short or broken"):
        images_of(written(tmp_path, bytes(data)))


def test_a_tar_without_end_mark_is_read(tmp_path: Path, layout: Layout) -> None:
    data = tar_of(members_of(layout)).rstrip(b"\0")
    data += b"\0" * (-len(data) % 512)
    assert len(images_of(written(tmp_path, data))) == 1


def raw_header(name: bytes, size: bytes, kind: bytes = b"0") -> bytes:
    header = bytearray(512)
    header[: len(name)] = name
    header[100:108], header[124:136], header[156:157] = b"0000644\0", size.ljust(12, b"\0"), kind
    header[257:265] = b"ustar\x0000"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


NEGATIVE = b"\xff" * 10 + b"\xfc\x00"
HUGE = b"\x80" + b"\x00" * 3 + b"\x7f" + b"\xff" * 7


@pytest.mark.parametrize(
    "headers",
    [
        raw_header(b"a", NEGATIVE),
        raw_header(b"index.json", HUGE),
        raw_header(b"a", HUGE),
        raw_header(b"a", b"77777777777"),
        raw_header(b"././@LongLink", NEGATIVE, b"L"),
        raw_header(b"././@LongLink", HUGE, b"L"),
        raw_header(b"pax", NEGATIVE, b"x"),
        raw_header(b"pax", HUGE, b"x"),
        raw_header(b"pax", b"00004000000", b"x") + b"9" * 1024 * 1024,
        raw_header(b"pax", b"0" * 11, b"x") * 5000,
        raw_header(b"pax", b"00000000020", b"x") + b"16 size=nonsense".ljust(512, b"\0") * 2,
        raw_header(b"pax", b"00000000013", b"x") + b"11 size=-5\n".ljust(512, b"\0"),
        raw_header(b"a", b"0" * 11, b"S"),
    ],
)
def test_hostile_headers_end_in_an_error(tmp_path: Path, headers: bytes) -> None:
    good = raw_header(b"first", b"0" * 11)
    for data in (headers, good + headers, headers + good * 2):
        with pytest.raises(SourceError):
            images_of(written(tmp_path, data.ljust(20_480, b"\0")))


def test_more_members_than_a_hundred_thousand_are_refused(
    tmp_path: Path, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_archive(tmp_path / "image.tar", layout)
    monkeypatch.setattr(archive_module, "_MEMBER_LIMIT", 3)
    with pytest.raises(ImageInvalid, match="more than 3 members"):
        images_of(path)


@pytest.mark.parametrize("change", [lambda d: d + b"\0" * 700, lambda d: d + gzip.compress(b"")])
def test_gzip_may_have_several_members_and_end_in_zeros(
    tmp_path: Path, layout: Layout, change: Callable[[bytes], bytes]
) -> None:
    data = tar_of(members_of(layout))
    half = len(data) // 2
    packed = gzip.compress(data[:half], 1) + gzip.compress(data[half:], 1)
    assert len(images_of(written(tmp_path, change(packed)))) == 1


@pytest.mark.parametrize("compress", ["gzip", "zstd"])
def test_broken_compressed_data_is_found_out(tmp_path: Path, layout: Layout, compress: str) -> None:
    data = bytearray(compressed(tar_of(members_of(layout)), compress))
    for place in (2, len(data) // 2, len(data) - 2):
        broken = data.copy()
        broken[place] ^= 0xFF
        with pytest.raises(ImageInvalid):
            images_of(written(tmp_path, bytes(broken)))


def test_an_archive_that_unpacks_without_end_is_stopped(
    tmp_path: Path, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_archive(tmp_path / "image.tar.gz", layout, "gzip")
    monkeypatch.setattr(spool_module, "_LIMIT", 10_000)
    with pytest.raises(ImageInvalid, match="unpacks to more than 10000 bytes"):
        images_of(path)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full is always full")
def test_a_full_disk_is_a_local_error_that_names_tmpdir(
    tmp_path: Path, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_archive(tmp_path / "image.tar.gz", layout, "gzip")
    monkeypatch.setattr("tempfile.TemporaryFile", functools.partial(open, "/dev/full", "wb"))
    with pytest.raises(LocalError, match="no space left") as caught:
        images_of(path)
    assert "TMPDIR" in caught.value.hint


def test_no_place_for_temporary_files_is_a_local_error(
    tmp_path: Path, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_archive(tmp_path / "image.tar.gz", layout, "gzip")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with pytest.raises(LocalError) as caught:
        images_of(path)
    assert "TMPDIR" in caught.value.hint


class Stopped(Exception):
    pass


@pytest.mark.parametrize("compress", [None, "gzip", "zstd"])
def test_long_work_can_be_stopped(tmp_path: Path, layout: Layout, compress: str | None) -> None:
    path = write_archive(tmp_path / "image.tar", layout, compress)
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise Stopped

    with pytest.raises(Stopped), open_source(str(path), None, check):
        pytest.fail("the source was opened")


def test_a_path_that_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for text in (tmp_path / "fifo", "/dev/null", f"oci-archive:{tmp_path}"):
        with pytest.raises(ImageInvalid, match="is no regular file"):
            images_of(text)


def test_an_archive_that_does_not_exist_is_not_found(tmp_path: Path) -> None:
    for text in (tmp_path / "no.tar", f"oci-archive:{tmp_path}/no.tar:v1", "oci-archive:"):
        with pytest.raises(ImageNotFound, match="no such file or directory"):
            images_of(text)


def test_an_existing_file_is_a_path_whatever_its_name(
    tmp_path: Path, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_archive(tmp_path / "app:v1", layout)
    monkeypatch.chdir(tmp_path)
    assert len(images_of("app:v1")) == 1
    assert len(images_of("app")) == 1


@pytest.mark.parametrize("text", ["app:v9", "docker.io/library/app:v1", "nothing", "OCI:x"])
def test_what_is_no_path_is_a_name_that_nothing_has(
    tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ImageNotFound, match="no such image") as caught:
        images_of(text)
    for form in ("oci:PATH", "oci-archive:PATH", "docker-archive:PATH", "`-`"):
        assert form in caught.value.hint


def test_a_directory_without_layout_is_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "app").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ImageNotFound, match="no such image"):
        images_of("app")
    with pytest.raises(ImageInvalid, match="no `oci-layout` file"):
        images_of("./app")


@given(
    data=st.binary(max_size=2000),
    magic=st.sampled_from([b"", b"\x1f\x8b\x08\0", b"\x28\xb5\x2f\xfd"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_any_bytes_end_in_a_source_error(tmp_path: Path, data: bytes, magic: bytes) -> None:
    path = written(tmp_path, magic + data)
    with pytest.raises(SourceError), open_source(str(path), None, ignore):
        pytest.fail("the source was opened")


@given(place=st.integers(0, 20_000), value=st.integers(0, 255))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
def test_an_archive_with_one_wrong_byte_opens_or_is_refused(
    tmp_path: Path, place: int, value: int
) -> None:
    source = tmp_path / "small"
    if not source.exists():
        write_archive(tmp_path / "good.tar", write_layout(source, [ImageSpec(layers=(10,))]))
    data = bytearray((tmp_path / "good.tar").read_bytes())
    data[place % len(data)] = value
    with contextlib.suppress(SourceError), opened(written(tmp_path, bytes(data))) as images:
        assert images
