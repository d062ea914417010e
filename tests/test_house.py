"""The house stands as it was drawn: who imports whom, what lives where, how large a module is."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src"
PACKAGE = "idpbuilder"

# each room imports only from rows below its own
ROWS = (
    ("cli",),
    ("doctor",),
    ("cluster",),
    ("library",),
    ("push",),
    ("source", "packing", "credentials", "transport"),
    ("memory",),
    ("redact",),
    ("registry",),
    ("image",),
    ("wire",),
    ("native",),
    ("errors",),
)
ROW = {room: number for number, row in enumerate(ROWS) for room in row}
ONLY_IN = {
    "pycurl": "transport",
    "click": "cli",
    "sqlite3": "memory",
    "distributed": "cluster",
}
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}
LINES = 450


def modules(source: Path) -> Iterator[tuple[str, Path]]:
    """Every module below `source` by its dotted name; a package has its own name."""
    for path in sorted((source / PACKAGE).rglob("*.py*")):
        if path.suffix in (".py", ".pyi"):
            parts = path.relative_to(source).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def room_of(module: str) -> str:
    """The room that `module` is in; the package itself and its entry point are in none."""
    parts = module.split(".")
    return parts[1] if parts[0] == PACKAGE and len(parts) > 1 and parts[1] in ROW else ""


def imports(tree: ast.AST, module: str, *, is_package: bool) -> Iterator[tuple[int, str]]:
    """Line and absolute dotted name of whatever is imported, inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = module.split(".")
                keep = len(above) - node.level + is_package
                base = ".".join([*above[:keep], *filter(None, [base])])
            # `from idpbuilder import cli` names a room as well
            yield from ((node.lineno, f"{base}.{name.name}") for name in node.names)


def import_violations(source: Path) -> list[str]:
    """Imports that go against the way of the house."""
    found = []
    for module, path in modules(source):
        room = room_of(module)
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for line, name in imports(tree, module, is_package=path.stem == "__init__"):
            other, top = room_of(name), name.partition(".")[0]
            if other and room and other != room and ROW[other] <= ROW[room]:
                found.append(f"{module}:{line}: `{room}` imports `{other}`")
            if top in ONLY_IN and room != ONLY_IN[top]:
                found.append(f"{module}:{line}: `{top}` outside of `{ONLY_IN[top]}`")
    return found


def shape_violations(source: Path) -> list[str]:
    """Modules without a place in the house, without a name that tells, or too large."""
    found = []
    for module, path in modules(source):
        parts = module.split(".")
        if parts[1:] and not room_of(module) and parts[1:] != ["__main__"]:
            found.append(f"{module}: is in no room")
        if EMPTY_NAMES & set(parts):
            found.append(f"{module}: its name says nothing")
        if len(path.read_text(encoding="utf-8").splitlines()) > LINES:
            found.append(f"{module}: more than {LINES} lines")
    return found


def test_every_room_imports_only_what_lies_below_it() -> None:
    assert import_violations(SOURCE) == []


def test_every_module_has_a_room_a_telling_name_and_a_modest_size() -> None:
    assert shape_violations(SOURCE) == []


def test_every_room_is_there() -> None:
    package = SOURCE / PACKAGE
    places = {room: (package / f"{room}.py", package / room / "__init__.py") for room in ROW}
    assert [room for room, paths in places.items() if not any(map(Path.is_file, paths))] == []


@pytest.mark.parametrize(
    ("place", "text", "violation"),
    [
        ("push/run.py", "from idpbuilder.cli.main import main", "`push` imports `cli`"),
        ("push/run.py", "import idpbuilder.cli", "`push` imports `cli`"),
        ("push/run.py", "from idpbuilder import cli", "`push` imports `cli`"),
        ("push/run.py", "from ..cli import main", "`push` imports `cli`"),
        ("push/__init__.py", "from ..cli import main", "`push` imports `cli`"),
        ("push/run.py", "from idpbuilder.doctor.run import examine", "`push` imports `doctor`"),
        ("doctor/run.py", "import idpbuilder.cli.failure", "`doctor` imports `cli`"),
        ("push/deep/run.py", "from ...cli import main", "`push` imports `cli`"),
        ("errors.py", "from idpbuilder.image import Digest", "`errors` imports `image`"),
        ("native/_x.pyi", "from idpbuilder.wire import Body", "`native` imports `wire`"),
        ("source/engine.py", "import idpbuilder.transport", "`source` imports `transport`"),
        (
            "packing/spool.py",
            "from idpbuilder import credentials",
            "`packing` imports `credentials`",
        ),
        (
            "registry/auth.py",
            "def f():\n    import idpbuilder.memory",
            "`registry` imports `memory`",
        ),
        ("push/run.py", "import pycurl", "`pycurl` outside of `transport`"),
        ("__main__.py", "import click", "`click` outside of `cli`"),
        ("push/run.py", "from click.testing import CliRunner", "`click` outside of `cli`"),
        ("push/run.py", "def f():\n    import sqlite3", "`sqlite3` outside of `memory`"),
    ],
)
def test_an_import_against_the_way_of_the_house_is_found(
    tmp_path: Path, place: str, text: str, violation: str
) -> None:
    write(tmp_path, place, text)
    (found,) = import_violations(tmp_path)
    assert found.endswith(violation)


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("cli/main.py", "import click\nfrom idpbuilder import __version__, push"),
        ("cli/main.py", "def f():\n    from idpbuilder.errors import PushError"),
        ("push/run.py", "from . import plan\nfrom .plan import order\nimport idpbuilder.push.plan"),
        ("transport/curl.py", "import pycurl\nfrom idpbuilder.native import RegionReader"),
        ("__main__.py", "from idpbuilder.cli.main import main"),
    ],
)
def test_an_import_along_the_way_of_the_house_is_free(
    tmp_path: Path, place: str, text: str
) -> None:
    write(tmp_path, place, text)
    assert import_violations(tmp_path) == []


@pytest.mark.parametrize(
    ("place", "text", "violation"),
    [
        ("push/utils.py", "", "idpbuilder.push.utils: its name says nothing"),
        ("push/common/sizes.py", "", "idpbuilder.push.common.sizes: its name says nothing"),
        ("cellar/wine.py", "", "idpbuilder.cellar.wine: is in no room"),
        ("push/run.py", "\n" * 451, "idpbuilder.push.run: more than 450 lines"),
    ],
)
def test_a_module_of_the_wrong_shape_is_found(
    tmp_path: Path, place: str, text: str, violation: str
) -> None:
    write(tmp_path, place, text)
    assert shape_violations(tmp_path) == [violation]


def write(source: Path, place: str, text: str) -> None:
    path = source / PACKAGE / place
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
