"""The parts of a release that are about words: `--check` before it is built, `--tell` after.

`make release` calls both, and between them what builds and tests. Nothing is published here.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from idpbuilder import __version__

ROOT = Path(__file__).parent.parent
# what git has in changelog.d for good
KEPT = {"README.md"}


def main(arguments: Sequence[str]) -> int:
    """Check, and 1 where something is missing; or tell what is left to do."""
    if "--tell" in arguments:
        print(last_commands(__version__))
        return 0
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    fragments = [path.name for path in (ROOT / "changelog.d").iterdir()]
    found = list(
        missing(__version__, changelog, fragments, _git("status", "--porcelain"), _git("tag"))
    )
    for text in found:
        print(text, file=sys.stderr)
    return 1 if found else 0


def missing(
    version: str, changelog: str, fragments: Sequence[str], status: str, tags: str
) -> Iterator[str]:
    """What stands against a release of `version`, each with what to do about it."""
    if status:
        yield f"the tree is not clean: commit or remove\n{status.rstrip()}"
    if not re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", version):
        yield f"`{version}` is no version to release: change src/idpbuilder/__init__.py"
    if f"v{version}" in tags.split():
        yield f"v{version} is released: change src/idpbuilder/__init__.py, then `make docs`"
    left = sorted(set(fragments) - KEPT)
    if left:
        yield f"changelog.d still holds {', '.join(left)}: run `make changelog`"
    heading = re.search(r"^## (\S+)", changelog, re.MULTILINE)
    if heading is None or heading[1] != version:
        yield f"CHANGELOG.md does not begin with {version}: run `make changelog`"


def last_commands(version: str) -> str:
    """What a person types when all checks have passed."""
    return f"""\
All checks passed. What is left, by hand:

    git tag --sign v{version} --message 'idpbuilder-push {version}'
    git push origin v{version}
    # the workflow `wheels` builds for every platform: fetch its archives into dist/, then
    {Path(sys.prefix).name}/bin/twine upload dist/*.whl dist/*.tar.gz"""


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, encoding="utf-8", check=True
    )
    return done.stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
