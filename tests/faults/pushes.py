"""One push to which something happens, and what must be true of it afterwards."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.parts.distribution import Distribution
from tests.parts.docker_archives import Saved, save
from tests.parts.fault_proxy import FaultProxy, Planned
from tests.parts.images import ImageSpec, IndexSpec, write_layout
from tests.parts.proxy_faults import KINDS
from tests.parts.skopeo import Skopeo, blob_digests, root_digest

ROOT = Path(__file__).parent.parent.parent
RETRIES = 3
CODES = frozenset({0, 2, 3, 5, 6})
"""What a push may exit with whose image is sound and whose user does not interrupt it."""
FINAL = frozenset({"401 instead", "413 instead", "answer's bytes twice"})
"""What need not be got over even where it happens once: a refusal, and an answer that is another
one.
"""
_ERROR = re.compile(r"Error: [^\n]+\n\nhint: [^\n]+\nsee: [^\n]+\n")


@dataclass(frozen=True, slots=True)
class Image:
    """An image to push, and what a registry must hold of it in the end. `size` in bytes."""

    name: str
    path: Path
    digest: str
    blobs: frozenset[str]
    size: int


@dataclass(frozen=True, slots=True)
class Case:
    """`kind` of KINDS happens to the request `index` (or the `index`th for `place`), at `permille`,
    and with `ever` to all after it.
    """

    kind: str
    index: int = 0
    place: str = ""
    permille: int = 0
    ever: bool = False

    def planned(self) -> Planned:
        """It, for a proxy."""
        return Planned(KINDS[self.kind](self.permille), self.index, self.place, self.ever)


@dataclass(slots=True)
class Outcome:
    """What came of a push: its exit code, and every way in which it was not as it should be.

    `sent` counts the bytes of bodies that came to the proxy, `again` those of them that were more
    than the image.
    """

    case: Case
    code: int
    places: list[str]
    requests: int
    sent: int
    again: int
    retries: int | None
    tag: str
    problems: list[str] = field(default_factory=list)
    said: str = ""


class Pushes:
    """Makes faulted pushes into `registry`, each into a repository and a home of its own."""

    def __init__(self, registry: Distribution, skopeo: Skopeo, folder: Path) -> None:
        self.registry = registry
        self._skopeo = skopeo
        self._folder = folder
        self._numbers = itertools.count()
        self.old = self._old()

    # -- images

    def layout(self, name: str = "layout") -> Image:
        """Two layers, one of which is large enough to be asked for twice."""
        return self.image(name, ImageSpec((1_100_000, 30_000)))

    def index(self, name: str = "index") -> Image:
        """Two platforms."""
        spec = IndexSpec((ImageSpec((3_000,)), ImageSpec((4_000,), platform="linux/arm64", seed=1)))
        return self.image(name, spec)

    def archive(self, name: str = "archive") -> Image:
        """What `docker save` writes, with a layer that is sent while it is packed."""
        path, below = self._folder / f"{name}.tar", f"expected/{name}"
        save(path, [Saved((5_000_000, 1_000), tags=("app:v1",))])
        place = self.home(name)
        done = self.command(place, path, f"{self.registry.url}/{below}")
        assert done.returncode == 0, done.stderr
        copy = self._skopeo.pull(f"{self.registry.host}/{below}/app:v1", place / "copy")
        blobs = frozenset(blob_digests(copy))
        size = sum(file.stat().st_size for file in copy.glob("blobs/*/*"))
        return Image(name, path, root_digest(copy), blobs, size)

    def image(self, name: str, spec: ImageSpec | IndexSpec) -> Image:
        """Any other."""
        layout = write_layout(self._folder / name, [_named(spec)])
        image = layout.image
        blobs = frozenset((*image.documents(), *image.blobs()))
        size = sum(layout.blob(digest).stat().st_size for digest in blobs)
        return Image(name, layout.path, image.digest, blobs, size)

    def _old(self) -> Image:
        image = self.image("old", ImageSpec((2_000,), seed=9))
        done = self.command(self.home("old"), image.path, self.registry.url + "/old")
        assert done.returncode == 0, done.stderr
        return image

    # -- pushing

    def home(self, name: str) -> Path:
        """A folder that is a user's home and holds the temporary files."""
        place = self._folder / f"home-{name}"
        (place / "tmp").mkdir(parents=True)
        return place

    def command(
        self, home: Path, image: Path, registry: str, *more: str
    ) -> subprocess.CompletedProcess[str]:
        """Push `image` below `registry`, and wait for it."""
        process = self.start(home, image, registry, *more)
        out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def start(self, home: Path, image: Path, registry: str, *more: str) -> subprocess.Popen[str]:
        """Begin to push `image` below `registry`."""
        line = [sys.executable, "-m", "tests.faults.quick", "push", str(image)]
        line += ["--registry", registry, "--output", "json", "--retry-attempts", str(RETRIES)]
        ours = ("IDPBUILDER_", "SSL_CERT", "DOCKER_", "REGISTRY_AUTH_FILE", "XDG_", "TMPDIR")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
        return subprocess.Popen(
            [*line, *more],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**kept, "HOME": str(home), "TMPDIR": str(home / "tmp")},
        )

    def places(self, image: Image) -> list[str]:
        """What the requests of an undisturbed push of `image` are for, in order."""
        outcome = self.push(image, None)
        assert not outcome.problems, outcome
        return outcome.places

    def push(self, image: Image, case: Case | None, *, over_old: bool = False) -> Outcome:
        """Push `image`, have `case` happen, and look at what is left.

        `over_old`: its tag is another image's before.
        """
        number = next(self._numbers)
        below, home = f"faulted/{number}", self.home(str(number))
        if over_old:
            self._tag_old(f"{below}/app")
        planned = [case.planned()] if case else []
        with FaultProxy(self.registry.port, *planned) as proxy:
            done = self.command(home, image.path, f"{proxy.url}/{below}")
            passed, hit, sent = list(proxy.passed), proxy.hit, proxy.body_bytes
        outcome = Outcome(
            case or Case(""),
            done.returncode,
            [one.place for one in (hit if case else passed)],
            len(passed),
            sent,
            max(sent - image.size, 0),
            _retries(done.stdout),
            "",
            said=done.stderr,
        )
        outcome.problems += self._wrongs(image, case, done, home)
        self._look_at_tag(outcome, image, f"{below}/app", home, over_old=over_old)
        return outcome

    def _wrongs(
        self,
        image: Image,
        case: Case | None,
        done: subprocess.CompletedProcess[str],
        home: Path,
    ) -> Iterator[str]:
        code, err = done.returncode, done.stderr
        if code not in CODES:
            yield f"exit code {code}: {err}"
        if "Traceback" in err or "Exception" in err:
            yield f"a traceback: {err}"
        if code and not _ERROR.fullmatch(err):
            yield f"no clear error: {err!r}"
        if code == 0 and err:
            yield f"words about a success: {err!r}"
        if code and case and not case.ever and case.kind not in FINAL and not _corrupts(case):
            yield f"what happened once was not got over: {err}"
        if left := sorted(path.name for path in (home / "tmp").rglob("*")):
            yield f"left in the temporary folder: {left}"

    def _look_at_tag(
        self, outcome: Outcome, image: Image, repository: str, home: Path, *, over_old: bool
    ) -> None:
        try:
            digest = self.registry.manifest(repository, "v1").digest
        except KeyError:
            digest = ""
        found = {image.digest: image, self.old.digest: self.old}.get(digest)
        outcome.tag = {image.digest: "new", self.old.digest: "old", "": "none"}.get(digest, digest)
        if outcome.code == 0 and outcome.tag != "new":
            outcome.problems.append(f"a success, and the tag is {outcome.tag}")
        if outcome.tag not in ("new", "old" if over_old else "none"):
            outcome.problems.append(f"the tag has become {outcome.tag}")
        if found is not None:
            try:
                self.check_whole(repository, found, home / "copy")
            except AssertionError as error:
                outcome.problems.append(f"the image is not whole: {error}")

    def check_whole(self, repository: str, image: Image, copy: Path) -> None:
        """Pull `image` and hash all that comes. Raises AssertionError."""
        self._skopeo.pull(f"{self.registry.host}/{repository}:v1", copy)
        assert root_digest(copy) == image.digest
        assert blob_digests(copy) == image.blobs
        for file in copy.glob("blobs/*/*"):
            actual = hashlib.new(file.parent.name, file.read_bytes()).hexdigest()
            assert actual == file.name, f"{file.name} holds {actual}"

    def _tag_old(self, repository: str) -> None:
        """Have the tag stand for the old image, past the proxy."""
        base = f"{self.registry.url}/v2/{repository}"
        for digest in sorted(self.old.blobs - {self.old.digest}):
            _ask("POST", f"{base}/blobs/uploads/?mount={digest}&from=old/app")
        stored = self.registry.manifest("old/app", "v1")
        _ask("PUT", f"{base}/manifests/v1", stored.data, stored.media_type)


def _named(spec: ImageSpec | IndexSpec) -> ImageSpec | IndexSpec:
    return replace(spec, name="app:v1")


def _corrupts(case: Case) -> bool:
    """Whether it changes a manifest on its way: the registry then refuses what was never sent."""
    return case.kind == "bytes twice"


def _retries(out: str) -> int | None:
    document = json.loads(out) if out.strip() else {}
    found = document.get("retries")
    return int(found) if found is not None else None


def _ask(method: str, url: str, data: bytes = b"", kind: str = "") -> None:
    headers = {"Content-Type": kind} if kind else {}
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as answer:
        assert answer.status == 201, (method, url, answer.status)
