"""OCI layouts beside the peers: the same image into the same registry over TLS, in turns.

Each round pushes into repositories of its own, one for each program, so that nobody finds there
what another left.
"""

from __future__ import annotations

import multiprocessing
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.parts.cost import compare
from bench.parts.home import Home
from tests.parts.certificates import make_certificates
from tests.parts.distribution import Distribution, DistributionOptions
from tests.parts.images import ImageSpec, IndexSpec, Spec, write_layout

MB = 1_000_000
ROUNDS = 5
US = "idpbuilder"
# one tag for each, as all of them read it
TAG = "v1"
Command = Callable[[Path, str, Path], list[str]]


def idpbuilder(layout: Path, to: str, ca: Path) -> list[str]:
    """Ours, as it is installed beside the interpreter."""
    del ca
    return [str(Path(sys.executable).with_name("idpbuilder")), "push", f"oci:{layout}", "--to", to]


def skopeo(layout: Path, to: str, ca: Path) -> list[str]:
    """skopeo, all platforms, the image as it is."""
    certificates = f"--dest-cert-dir={ca.parent / 'trusted'}"
    options = ["-q", "--all", "--preserve-digests", certificates]
    return ["skopeo", "--insecure-policy", "copy", *options, f"oci:{layout}:{TAG}",
            f"docker://{to}"]  # fmt: skip


PROGRAMS: dict[str, Command] = {US: idpbuilder, "skopeo": skopeo}
IMAGES: dict[str, Spec] = {
    "3 layers, 142 MB": ImageSpec((100 * MB, 40 * MB, 2 * MB), ref=TAG),
    "60 layers of 100 kB": ImageSpec((100_000,) * 60, ref=TAG),
    "two platforms, 40 MB": IndexSpec(
        (
            ImageSpec((15 * MB, 5 * MB)),
            ImageSpec((15 * MB, 5 * MB), platform="linux/arm64", seed=1),
        ),
        ref=TAG,
    ),
    "6 layers, 1.5 GB": ImageSpec((250 * MB,) * 6, ref=TAG),
}


@contextmanager
def registry(folder: Path) -> Iterator[tuple[Distribution, Path]]:
    """CNCF Distribution over TLS, and the CA to trust."""
    certificates = make_certificates(folder)
    trusted = certificates.ca.parent / "trusted"
    trusted.mkdir(exist_ok=True)
    shutil.copy(certificates.ca, trusted / "ca.crt")
    options = DistributionOptions(tls=certificates.server, ca=certificates.ca)
    with Distribution(options) as running:
        yield running, certificates.ca


def push(name: str, layout: Path, running: Distribution, ca: Path) -> None:
    """Print how the programs fare with one image."""
    slug = "-".join("".join(c if c.isalnum() else " " for c in name.lower()).split())
    home = Home(layout.parent / "home")
    home.path.mkdir(exist_ok=True)

    def make(program: str, number: int) -> list[str]:
        to = f"{running.host}/{slug}/{program}-{number}:{TAG}"
        return PROGRAMS[program](layout, to, ca)

    commands = {program: partial(make, program) for program in PROGRAMS}
    environ = home.environ(SSL_CERT_FILE=str(ca))
    compare(name, commands, environ, rounds=ROUNDS, before=home.forget)


def main() -> None:
    missing = [program for program in ("docker-registry", "skopeo") if not shutil.which(program)]
    if missing:
        raise SystemExit(f"not installed: {', '.join(missing)}; `sh tests/real/install.sh` helps")
    with tempfile.TemporaryDirectory(prefix="idpbuilder-bench-") as folder:
        for name, spec in IMAGES.items():
            layout = Path(folder, "image")
            # in a process of its own: a child's peak memory is never below its parent's
            writer = multiprocessing.Process(target=write_layout, args=(layout, [spec]))
            writer.start()
            writer.join()
            with registry(Path(folder)) as (running, ca):
                push(name, layout, running, ca)
            shutil.rmtree(layout)


if __name__ == "__main__":
    main()
