"""The twins, each behind the same names."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from idpbuilder import native
from idpbuilder.native import _reference


@pytest.fixture(params=["reference", "compiled"])
def kernels(request: pytest.FixtureRequest) -> ModuleType:
    """One of the twins; both run every test."""
    if request.param == "reference":
        return _reference
    if not native.COMPILED:
        pytest.skip("the kernels are not compiled here")
    return native


@pytest.fixture
def open_file(tmp_path: Path) -> Iterator[Callable[[bytes], int]]:
    """Makes descriptors of files with the given content; no test has to close them."""
    opened: list[int] = []

    def make(content: bytes) -> int:
        path = tmp_path / f"content-{len(opened)}"
        path.write_bytes(content)
        opened.append(os.open(path, os.O_RDONLY))
        return opened[-1]

    yield make
    for fd in set(opened):
        # the test, or the reader it was given to, may have closed it
        with contextlib.suppress(OSError):
            os.close(fd)
