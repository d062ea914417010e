"""The compiled kernels and the plain ones are the same to whoever calls them."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idpbuilder import native
from idpbuilder.native import _reference

compiled = pytest.mark.skipif(not native.COMPILED, reason="the kernels are not compiled here")

# a few kilobytes of chosen bytes, repeated past the buffers' sizes
contents = st.builds(
    lambda block, times: block * times,
    st.binary(max_size=3000),
    st.sampled_from([1, 2, 90, 700]),
)
places = st.integers(min_value=0, max_value=2_500_000)


@contextmanager
def opened(content: bytes) -> Iterator[int]:
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(content)
        yield file.fileno()


def outcome(call: object, *arguments: object) -> object:
    try:
        return call(*arguments)  # type: ignore[operator]
    except (EOFError, ValueError) as error:
        return type(error), str(error)


def test_the_kernels_are_compiled_where_the_build_can_compile() -> None:
    if os.environ.get("CI") == "true":
        assert native.COMPILED


@compiled
def test_the_chosen_twin_is_the_compiled_one() -> None:
    assert native.RegionReader is not _reference.RegionReader
    assert native.digest_region is not _reference.digest_region


@compiled
@given(contents, places, places, st.sampled_from(["sha256", "sha512"]))
def test_both_digest_alike(content: bytes, offset: int, size: int, algorithm: str) -> None:
    with opened(content) as fd:
        ours = outcome(native.digest_region, fd, offset, size, algorithm)
        assert ours == outcome(_reference.digest_region, fd, offset, size, algorithm)
        if offset + size <= len(content):
            region = content[offset : offset + size]
            assert ours == hashlib.new(algorithm, region).hexdigest()


@compiled
@given(contents, places, places)
def test_both_fingerprint_alike(content: bytes, offset: int, size: int) -> None:
    with opened(content) as fd:
        ours = outcome(native.fingerprint_region, fd, offset, size)
        assert ours == outcome(_reference.fingerprint_region, fd, offset, size)
        whole = len(content)
        assert native.fingerprint_region(fd, 0, whole) == _reference.fingerprint_region(
            fd, 0, whole
        )


@compiled
@given(
    st.binary(max_size=2000),
    st.integers(0, 2000),
    st.integers(0, 2000),
    st.lists(st.integers(0, 700), max_size=12),
)
def test_both_read_alike(content: bytes, offset: int, size: int, reads: list[int]) -> None:
    with opened(content) as fd:
        twins = [kernels.RegionReader(os.dup(fd), offset, size) for kernels in (native, _reference)]
        for length in reads:
            buffers = [bytearray(length), bytearray(length)]
            ours, theirs = (
                outcome(reader.readinto, buffer)
                for reader, buffer in zip(twins, buffers, strict=True)
            )
            assert ours == theirs
            assert buffers[0] == buffers[1]
            assert twins[0].remaining == twins[1].remaining
        for reader in twins:
            reader.close()


def test_without_compiled_kernels_the_plain_ones_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    # None in sys.modules is what Python itself puts there for a module that cannot be imported
    monkeypatch.setitem(sys.modules, "idpbuilder.native._digest", None)
    spec = importlib.util.spec_from_file_location("chooser", native.__file__)
    assert spec is not None
    assert spec.loader is not None
    chooser = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(chooser)
    assert chooser.COMPILED is False
    assert chooser.RegionReader is _reference.RegionReader
    assert chooser.digest_region is _reference.digest_region
    assert chooser.fingerprint_region is _reference.fingerprint_region
