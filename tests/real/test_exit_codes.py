"""Every exit code of the command, each from a real registry or a real fault.

Run with `-s`, each test prints its command and what came of it.
"""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.parts.distribution import USER, Distribution
from tests.parts.faults import Answer, AnswerAfterBody, Hang, Html
from tests.parts.images import ImageSpec, Layout, write_layout
from tests.parts.listeners import ClosesAtOnce, EmptyHttp, closed_port
from tests.parts.memory_registry import MemoryRegistry
from tests.real.command import Command, Done


@dataclass(frozen=True, slots=True)
class Case:
    """The command, an image, and a registry to send it to."""

    command: Command
    layout: Layout
    registry: Distribution

    @property
    def to(self) -> tuple[str, str]:
        return "--to", f"{self.registry.host}/codes/app:v1"

    def run(self, *arguments: object, **variables: str) -> Done:
        """Run the command and say what came of it."""
        done = self.command(*arguments, **variables)
        shown = " ".join(str(argument) for argument in arguments)
        first = (done.err or done.out).splitlines()[:1]
        print(f"\n{done.code}  idpbuilder push {shown}\n   {''.join(first)}")
        return done

    def fails(self, code: int, why: str, *arguments: object, **variables: str) -> Done:
        """Run a command that must fail with `code` and an error in which `why` is found."""
        done = self.run(*arguments, **variables)
        assert done.code == code, done.err
        error, _, hint = done.err.partition("\n\nhint: ")
        assert error.startswith("Error: "), done.err
        assert re.search(why, error), done.err
        assert hint.strip(), done.err
        assert "Traceback" not in done.err
        assert self.registry.tags("codes/app") == []
        return done


@pytest.fixture
def case(command: Command, distribution: Distribution, tmp_path: Path) -> Case:
    return Case(command, write_layout(tmp_path / "image", [ImageSpec()]), distribution)


def test_0_the_image_is_in_the_registry(case: Case) -> None:
    done = case.run(case.layout.path, "--to", f"{case.registry.host}/codes/good:v1")
    assert done.code == 0, done.err
    assert case.registry.manifest("codes/good", "v1").digest == case.layout.image.digest


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--nonsense",), "--nonsense"),
        (("--timeout", "300"), "--timeout"),
        (("--retry-attempts", "21"), "--retry-attempts"),
        (("--platform", "linux"), "--platform"),
        (("--progress", "loud"), "--progress"),
        (("--to", "Registry.example.com/UPPER/app"), "--to"),
        (("--to", "registry.example.com/app:bad/tag"), "--to"),
        (("--to", "registry.example.com:70000/app"), "--to"),
        (("--quiet", "--verbose"), "--quiet"),
        (("--username", "u"), "[Pp]assword"),
        (("--digestfile", "/nonexistent/file"), "/nonexistent"),
        ((), "has no destination"),
    ],
    ids=str,
)
def test_1_what_cannot_be_used(arguments: tuple[str, ...], why: str, case: Case) -> None:
    to = () if not arguments or "--to" in arguments else case.to
    case.fails(1, why, case.layout.path, *arguments, *to)


def test_1_a_full_disk(case: Case, tmp_path: Path) -> None:
    from tests.parts.images import write_archive

    archive = write_archive(tmp_path / "image.tar", case.layout, "gzip")
    done = subprocess.run(
        ["sh", "-c", 'ulimit -f 1; exec "$@"', "-", *case.command._line((archive, *case.to))],
        capture_output=True,
        text=True,
        check=False,
        env={**case.command._environment({}), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 1, done.stderr
    assert "TMPDIR" in done.stderr


def test_2_not_signed_in(htpasswd_distribution: Distribution, case: Case) -> None:
    to = ("--to", f"{htpasswd_distribution.host}/codes/app:v1")
    user = ("--username", USER, "--password", "wr0ng")
    case.fails(2, "401", case.layout.path, *to)
    case.fails(2, "401", case.layout.path, *to, *user)


def test_2_a_token_service_that_refuses(token_distribution: Distribution, case: Case) -> None:
    to = ("--to", f"{token_distribution.host}/codes/app:v1")
    user = ("--username", USER, "--password", "wr0ng")
    case.fails(2, "no access token", case.layout.path, *to, *user)


def test_2_forbidden(case: Case) -> None:
    with MemoryRegistry() as registry:
        registry.fault(AnswerAfterBody(403), method="POST", times=None)
        case.fails(2, "403", case.layout.path, "--to", f"{registry.host}/app:v1")


def test_3_nobody_there(case: Case) -> None:
    to = ("--to", f"127.0.0.1:{closed_port()}/app:v1", "--retry-attempts", "1")
    case.fails(3, "refused", case.layout.path, *to)
    case.fails(3, "address", case.layout.path, "--to", "nowhere.invalid/app:v1",
               "--retry-attempts", "0")  # fmt: skip


def test_3_a_certificate_that_is_not_trusted(tls_distribution: Distribution, case: Case) -> None:
    case.fails(3, "certificate", case.layout.path, "--to", f"{tls_distribution.host}/app:v1")


def test_3_a_connection_that_always_breaks(case: Case) -> None:
    with ClosesAtOnce() as listener:
        to = ("--to", f"{listener.host}/app:v1", "--retry-attempts", "0")
        case.fails(3, "TLS", case.layout.path, *to)


def test_4_no_such_image(case: Case) -> None:
    case.fails(4, "nothing", "./nothing", *case.to)
    case.fails(4, "v9", f"oci:{case.layout.path}:v9", *case.to)


def test_4_no_engine_that_answers(case: Case) -> None:
    nowhere = {"DOCKER_HOST": f"unix://{case.command.home}/none.sock"}
    case.fails(4, "no socket there", "nothing", *case.to, **nowhere)
    case.fails(4, "no socket there", *case.to, **nowhere)


def test_4_no_such_platform(case: Case) -> None:
    case.fails(4, "s390x", case.layout.path, "--platform", "linux/s390x", *case.to)


def test_4_a_layer_that_is_missing_short_or_altered(case: Case) -> None:
    blob = case.layout.blob(case.layout.image.layers[0])
    content = blob.read_bytes()
    blob.write_bytes(content[::-1])
    case.fails(4, "is broken", case.layout.path, *case.to)
    blob.write_bytes(content[:-1])
    case.fails(4, "bytes where", case.layout.path, *case.to)
    blob.unlink()
    case.fails(4, "missing", case.layout.path, *case.to)


def test_4_what_is_no_image(case: Case, tmp_path: Path) -> None:
    (tmp_path / "empty.tar").touch()
    case.fails(4, "empty", tmp_path / "empty.tar", *case.to)
    case.fails(4, "layout", tmp_path, *case.to)
    (case.layout.path / "index.json").write_text("[]")
    case.fails(4, "JSON object", case.layout.path, *case.to)


def test_5_what_the_registry_refuses(case: Case) -> None:
    for action, method, path, why in (
        (AnswerAfterBody(404), "POST", "blobs", "404"),
        (AnswerAfterBody(413), "POST", "blobs", "413"),
        (AnswerAfterBody(429), "POST", "blobs", "429"),
        (Html(500), "POST", "blobs", "500"),
        (AnswerAfterBody(400), "PUT", "manifests", "manifest"),
    ):
        with MemoryRegistry() as registry:
            registry.fault(action, method=method, path=path, times=None)
            to = ("--to", f"{registry.host}/app:v1", "--retry-attempts", "0")
            case.fails(5, why, case.layout.path, *to)


def test_5_an_early_413_in_the_middle_of_a_body(case: Case, tmp_path: Path) -> None:
    large = write_layout(tmp_path / "large", [ImageSpec(layers=(20_000_000,))])
    with MemoryRegistry() as registry:
        registry.fault(Answer(413), method="PUT", path="blobs", times=None)
        case.fails(5, "413", large.path, "--to", f"{registry.host}/app:v1")


def test_5_a_web_server_that_is_no_registry(case: Case) -> None:
    with EmptyHttp() as listener:
        case.fails(5, "404", case.layout.path, "--to", f"{listener.host}/app:v1")


def test_6_the_time_is_over(case: Case) -> None:
    with MemoryRegistry() as registry:
        registry.fault(Hang(), method="PUT", times=None)
        to = ("--to", f"{registry.host}/app:v1", "--timeout", "300ms")
        done = case.fails(6, "timeout", case.layout.path, *to)
        assert "--timeout" in done.err


@pytest.mark.parametrize(
    ("signum", "code"), [(signal.SIGHUP, 129), (signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_a_signal_ends_it_within_a_second(signum: int, code: int, case: Case) -> None:
    with MemoryRegistry() as registry:
        registry.fault(Hang(), method="PUT", times=None)
        with case.command.start(case.layout.path, "--to", f"{registry.host}/app:v1") as process:
            wait_until(lambda: bool(registry.seen("PUT")))
            process.send_signal(signum)
            _, err = process.communicate(timeout=10)
    assert process.returncode == code, err
    assert err.startswith("Error: stopped by")


def wait_until(happened: Callable[[], bool]) -> None:
    """Until it has; a test that waits longer than its limit is broken."""
    until = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.01)
