"""Where programs are found; some are made with Go where there is one."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bench import BUILD, ROOT
from bench.parts.missing import Missing

BIN = BUILD / "bin"


def find(*names: str, package: str = "", last: str = "") -> str:
    """The path of a program: as BENCH_ and its name says, on PATH, or made of a Go package.

    `last` is on PATH too, and taken where there is nothing better. Raises Missing.
    """
    variable = f"BENCH_{names[0].upper()}"
    if named := os.environ.get(variable):
        if shutil.which(named) is None:
            raise Missing(f"{variable} names `{named}`, which is no program")
        return named
    for name in names:
        path = shutil.which(name) or shutil.which(name, path=BIN)
        if path:
            return path
    why = f"`{names[0]}` is not on PATH"
    if package:
        try:
            return _install(names[0], package)
        except Missing as missing:
            why += f"; {missing}"
    path = shutil.which(last) if last else None
    if path:
        return path
    raise Missing(why)


def compiled(name: str) -> str:
    """One of the programs in `go/`, as it is now. Raises Missing where there is no Go."""
    _go(["build", "-o", str(BIN / name), f"./{name}"], ROOT / "bench" / "go")
    return str(BIN / name)


def version(program: str, arguments: Sequence[str]) -> str:
    """The first line that it prints about itself."""
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    line = next(iter((done.stdout or done.stderr).splitlines()), "")
    return " ".join(line.removeprefix(program).split())


def _install(name: str, package: str) -> str:
    print(f"making {name} with Go, once …", flush=True)
    _go(["install", package], BUILD)
    return str(BIN / name)


def _go(arguments: Sequence[str], folder: Path) -> None:
    if shutil.which("go") is None:
        raise Missing("there is no Go to make it")
    BIN.mkdir(parents=True, exist_ok=True)
    environ = {**os.environ, "GOBIN": str(BIN), "GOFLAGS": "-buildvcs=false"}
    done = subprocess.run(
        ["go", *arguments], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = next(iter(done.stderr.strip().splitlines()[-1:]), "")
        raise Missing(f"`go {arguments[0]}` failed: {last}")
