"""Ours as users have it: installed, with what Python keeps of compiled modules.

Development sets neither up: an editable install goes through a finder, and variables such as
PYTHONDONTWRITEBYTECODE have modules compiled in each run.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from bench import BUILD, ROOT

_HOME = BUILD / "installed"
PYTHON = _HOME / "bin" / "python"
PROGRAM = _HOME / "bin" / "idpbuilder"


def install() -> None:
    """Install the package, and put the modules and kernels that `src` holds now in its place."""
    state = hashlib.sha256(sys.version.encode())
    for name in ("pyproject.toml", "setup.py"):
        state.update((ROOT / name).read_bytes())
    stamp = _HOME / "stamp"
    if not stamp.exists() or stamp.read_text() != state.hexdigest():
        print("installing idpbuilder-push into build/bench, once …", flush=True)
        shutil.rmtree(_HOME, ignore_errors=True)
        # pip and setuptools would slow every start down by what they put beside the package
        _run(sys.executable, "-m", "venv", "--without-pip", str(_HOME))
        _run(sys.executable, "-m", "pip", "--python", str(PYTHON), "install", "--quiet", str(ROOT))
        stamp.write_text(state.hexdigest())
    packages = Path(sysconfig.get_path("purelib", "venv", vars={"base": str(_HOME)}))
    place = packages / "idpbuilder"
    shutil.rmtree(place)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "src" / "idpbuilder", place, ignore=ignored)
    _run(str(PYTHON), "-m", "compileall", "-q", str(packages))


def _run(*command: str) -> None:
    subprocess.run(command, check=True)
