"""What the page on the library shows does what it says."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any, get_args

import pytest

import idpbuilder
from idpbuilder import Event, push_images
from tests.docs.pages import DOCS, blocks
from tests.parts.images import ImageSpec, write_archive, write_layout
from tests.parts.memory_registry import MemoryRegistry

PAGE = DOCS / "library.md"


def test_its_examples_run(
    registry: MemoryRegistry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spec = ImageSpec((2_000,), name="app:v1")
    write_archive(tmp_path / "app.tar", write_layout(tmp_path / "layout", [spec]))
    write_layout(tmp_path / "web", [ImageSpec((3_000,))])
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "example"}
    examples = [block.text for block in blocks(PAGE) if block.language == "python"]
    assert len(examples) == 4
    for example in examples:
        exec(compile(example.replace("registry.example.com", registry.host), PAGE, "exec"), names)
    assert registry.tags("team/app") == ["v1"]
    assert registry.tags("team/web") == ["latest", "v1"]
    assert registry.tags("app") == ["v1"]
    said = capsys.readouterr().out
    assert f"{registry.host}/team/app:v1 sha256:" in said
    assert "./missing.tar failed: images[1]: no image" in said
    assert "push 1: layer 1 of 1: exists" in said


def test_it_names_every_argument() -> None:
    text = PAGE.read_text(encoding="utf-8")
    arguments = set(inspect.signature(push_images).parameters) - {"images"}
    assert arguments - set(re.findall(r"`(\w+)(?:=\w+)?`", text)) == set()


def test_it_names_every_event() -> None:
    text = PAGE.read_text(encoding="utf-8")
    names = [kind.__name__ for kind in get_args(Event)]
    assert [name for name in names if name not in idpbuilder.__all__] == []
    assert [name for name in names if f"`{name}`" not in text] == []
