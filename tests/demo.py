"""What `make demo` runs: a registry, a small image, one push, and a look at what arrived."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.parts.distribution import Distribution  # noqa: E402
from tests.parts.images import ImageSpec, write_layout  # noqa: E402
from tests.parts.memory_registry import MemoryRegistry  # noqa: E402

IMAGE = ImageSpec(layers=(2_500_000, 400_000, 12_000), real=True, name="hello:v1")


def main() -> int:
    """The exit code: 0 if the registry holds, byte for byte, what was pushed."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="idpbuilder-demo-")))
        registry: Distribution | MemoryRegistry
        if shutil.which("docker-registry"):
            registry = stack.enter_context(Distribution())
            print(f"A registry of its own, docker-registry, at {registry.url}")
        else:
            registry = stack.enter_context(MemoryRegistry())
            print(f"`docker-registry` is not installed: a registry in memory, at {registry.url}")
        image = write_layout(folder / "hello", (IMAGE,)).image
        command = [_program(), "push", str(folder / "hello"), "--registry", f"{registry.url}/demo"]
        if not sys.stderr.isatty():
            command += ["--progress", "plain"]
        print(f"$ {' '.join(['idpbuilder', *command[1:]])}", flush=True)
        code = subprocess.run(command, check=False).returncode
        if code:
            print(f"The push failed with exit code {code}", file=sys.stderr)
            return code
        return _compare(registry, image.digest, list(image.blobs()))


def _compare(registry: Distribution | MemoryRegistry, digest: str, blobs: list[str]) -> int:
    try:
        arrived = registry.manifest("demo/hello", "v1").digest
    except KeyError as error:
        print(f"Not whole: {error}", file=sys.stderr)
        return 1
    missing = [blob for blob in blobs if not registry.has_blob("demo/hello", blob)]
    if arrived != digest or missing:
        print(f"Not whole: {arrived} for {digest}, missing {missing}", file=sys.stderr)
        return 1
    print(f"Whole: demo/hello:v1 is {digest} with its {len(blobs)} blobs, here and there")
    return 0


def _program() -> str:
    beside = Path(sys.executable).with_name("idpbuilder")
    return str(beside) if beside.exists() else "idpbuilder"


if __name__ == "__main__":
    sys.exit(main())
