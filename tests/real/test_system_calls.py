"""What a push asks of the kernel: as many calls on a slow machine as on a fast one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

import idpbuilder
from tests.parts.distribution import Distribution
from tests.parts.images import ImageSpec, write_layout
from tests.parts.programs import need
from tests.real.command import Command

LAYER = 64 * 1024 * 1024
BUFFER = 512 * 1024
RECORD = 16 * 1024
"""Bytes that TLS seals at once (RFC 8446, 5.1)."""

SAMPLES = 64
"""Reads of 16 KiB that a fingerprint takes."""

READ = {"read", "readv", "pread64", "preadv", "preadv2"}
SEND = {"sendto", "sendmsg", "write", "writev"}
WAIT = {"epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll", "select", "pselect6"}
OPEN = {"open", "openat"}
START = {"fork", "vfork", "clone", "clone3", "execve"}

CALL = re.compile(r"(\w+)\((.*)\) += (-?\d+|\?)")
OPENED = re.compile(r'"(.*)"')
COMPILED = re.compile(r"__pycache__/([^/.]+)\.[^/]+$")


@dataclass(frozen=True, slots=True)
class Call:
    """A system call: what it was given, as strace writes it, and what it gave (-1: it failed)."""

    name: str
    given: str
    result: int

    @property
    def path(self) -> str:
        """What an OPEN names."""
        found = OPENED.search(self.given)
        assert found, self
        return found[1]


def traced(
    folder: Path, command: Command, *arguments: object, **variables: str
) -> tuple[Call, ...]:
    """The calls of Python with `arguments`, thread by thread."""
    # a call that this machine does not have is no error with a `?`
    names = ",".join(f"?{name}" for name in sorted(READ | SEND | WAIT | OPEN | START))
    # a file for each thread: in one for all, another's call would come in the midst of a line
    how = ("-ff", "-qq", "-y", "-s", "0", "-e", f"trace={names}", "-o", str(folder / "trace"))
    # a process that is measured for `make cov` imports what others do not
    environment = {"COVERAGE_PROCESS_START": "", "COVERAGE_PROCESS_CONFIG": "", **variables}
    done = subprocess.run(
        [need("strace"), *how, sys.executable, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=command._environment(environment),
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = (line for file in folder.glob("trace.*") for line in file.read_text().splitlines())
    found = filter(None, map(CALL.match, lines))
    return tuple(Call(one[1], one[2], int(one[3].replace("?", "0"))) for one in found)


def fresh(factory: pytest.TempPathFactory, name: str) -> tuple[Path, Command]:
    """An empty folder, and the command in a home in it."""
    folder = factory.mktemp(name)
    (folder / "home").mkdir()
    return folder, Command(folder / "home")


@dataclass(frozen=True, slots=True)
class Push:
    """The calls of a push, and the file of its only layer."""

    layer: Path
    calls: tuple[Call, ...]

    def reads(self) -> list[Call]:
        """Those that read the layer."""
        given = re.compile(rf"\d+<{re.escape(str(self.layer))}>")
        return [call for call in self.calls if call.name in READ and given.match(call.given)]

    def sends(self) -> list[Call]:
        """Those that write into a socket."""
        given = re.compile(r"\d+<(socket|TCP|TCPv6):")
        return [call for call in self.calls if call.name in SEND and given.match(call.given)]

    def waits(self) -> list[Call]:
        """Those that wait for something to happen."""
        return [call for call in self.calls if call.name in WAIT]


def traced_push(
    factory: pytest.TempPathFactory, registry: Distribution, name: str, size: int
) -> Push:
    folder, command = fresh(factory, name)
    layout = write_layout(folder / "image", [ImageSpec((size,))])
    words = ("-m", "idpbuilder", "push", layout.path, "--to", f"{registry.host}/calls/{name}:v1")
    calls = traced(folder, command, *words, SSL_CERT_FILE=str(registry.ca))
    (layer,) = layout.image.layers
    return Push(layout.blob(layer), calls)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory, tls_distribution: Distribution) -> Push:
    """The first push of 64 MiB, over TLS."""
    return traced_push(tmp_path_factory, tls_distribution, "large", LAYER)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, tls_distribution: Distribution) -> Push:
    """The first push of a few bytes, over TLS."""
    return traced_push(tmp_path_factory, tls_distribution, "small", 1_000)


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> tuple[Call, ...]:
    """What Python itself asks for before it does anything: this depends on its version."""
    return traced(*fresh(tmp_path_factory, "idle"), "-c", "pass")


def modules(calls: Iterable[Call]) -> set[str]:
    """The sources of the modules that were opened, whether there was bytecode of them or not."""
    paths = (call.path for call in calls if call.name in OPEN and call.result >= 0)
    sources = (COMPILED.sub(r"\1.py", path) for path in paths)
    return {source for source in sources if source.endswith(".py")}


def split(sources: set[str]) -> tuple[set[str], set[str]]:
    """Our own, and those of others."""
    home = f"{Path(idpbuilder.__file__).parent}{os.sep}"
    ours = {source for source in sources if source.startswith(home)}
    return ours, sources - ours


def other_files(calls: Iterable[Call]) -> int:
    """How often something else than a module was opened, or looked for in vain."""
    opened = [call.path for call in calls if call.name in OPEN]
    return sum(not path.endswith(".py") and not COMPILED.search(path) for path in opened)


def test_a_layer_is_read_once_by_whole_buffers_and_sampled_once(large: Push) -> None:
    reads = large.reads()
    # the first buffer begins with the request's head, which moves all that follows
    assert len(reads) <= LAYER // BUFFER + SAMPLES + 4
    assert LAYER <= sum(call.result for call in reads) <= LAYER + SAMPLES * 16 * 1024


def test_a_layer_is_sent_by_whole_records(large: Push) -> None:
    sends = large.sends()
    assert sum(call.result for call in sends if call.result > 0) >= LAYER
    # an eighth for those that a full socket takes in part or refuses
    assert len(sends) <= LAYER // RECORD * 9 // 8 + 40


def test_the_loop_turns_once_for_each_buffer(large: Push) -> None:
    # as often again for sockets that are full: what makes the buffers smaller costs more
    assert len(large.waits()) <= 2 * LAYER // BUFFER + 60


def test_a_push_starts_no_process(large: Push, small: Push) -> None:
    for push in (large, small):
        started = [call for call in push.calls if call.name in START]
        # strace starts the push itself
        assert [call.name for call in started if "CLONE_THREAD" not in call.given] == ["execve"]


def test_the_version_opens_few_modules(
    tmp_path_factory: pytest.TempPathFactory, idle: tuple[Call, ...]
) -> None:
    words = ("-m", "idpbuilder", "push", "--version")
    calls = traced(*fresh(tmp_path_factory, "version"), *words)
    ours, theirs = split(modules(calls) - modules(idle))
    # 9 and 34 with Python 3.11
    assert 5 <= len(ours) <= 12, sorted(ours)
    assert len(theirs) <= 40, sorted(theirs)


def test_a_small_push_opens_few_modules_and_few_other_files(
    small: Push, idle: tuple[Call, ...]
) -> None:
    ours, theirs = split(modules(small.calls) - modules(idle))
    # 128 and 72 with Python 3.11, one more or less with others; a module that is worth its
    # milliseconds may have its place
    assert 50 <= len(ours) <= 135, sorted(ours)
    assert len(theirs) <= 78, sorted(theirs)
    # 143, and a few that depend on what the machine is set up with
    assert other_files(small.calls) - other_files(idle) <= 165
