"""Writes what is shipped beside the program and repeats its flags: completions and the manual.

`python packaging/generate.py` writes the files below packaging/share; with `--check` it only
compares, and fails where a file differs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from commands import PROGRAMS
from completion import bash, fish, zsh
from manual import pages

SHARE = Path(__file__).parent / "share"


def main(arguments: Sequence[str]) -> int:
    """Write the files, or with `--check` compare them; 1 where one differs."""
    wanted = files()
    stale = [path for path, text in wanted.items() if _read(path) != text]
    left = [path for path in SHARE.rglob("*") if path.is_file() and path not in wanted]
    if "--check" in arguments:
        for path in [*stale, *left]:
            print(
                f"{path.relative_to(SHARE.parent.parent)} is stale: run `make docs`",
                file=sys.stderr,
            )
        return 1 if stale or left else 0
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted[path], encoding="utf-8")
        print(f"wrote {path.relative_to(SHARE.parent.parent)}")
    for path in left:
        path.unlink()
    return 0


def files() -> dict[Path, str]:
    """The text of every file, below the folders in which shells and `man` look."""
    found = {}
    for program in PROGRAMS:
        found[SHARE / "bash-completion" / "completions" / program] = bash(program)
        found[SHARE / "zsh" / "site-functions" / f"_{program}"] = zsh(program)
        found[SHARE / "fish" / "vendor_completions.d" / f"{program}.fish"] = fish(program)
    for name, text in pages().items():
        found[SHARE / "man" / "man1" / f"{name}.1"] = text
    return found


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
