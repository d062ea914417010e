"""`idpbuilder doctor` against real registries and real faults."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.parts.certificates import Certificates
from tests.parts.distribution import PASSWORD, USER, Distribution
from tests.parts.listeners import NeverAnswers, closed_port
from tests.parts.nginx import Nginx
from tests.parts.programs import need
from tests.parts.token_service import TokenService
from tests.real.command import Command, Done

REPOSITORY = "doctor/scratch"
SIGN_IN = ("--username", USER, "--password-stdin")


class Doctor:
    """The command as users run it, in a home of its own."""

    def __init__(self, command: Command) -> None:
        self._environ = command._environment({})

    def __call__(self, *arguments: str, stdin: str = "", **variables: str) -> Done:
        done = subprocess.run(
            [sys.executable, "-m", "idpbuilder", "doctor", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            env={**self._environ, **variables},
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr
        assert PASSWORD not in done.stdout + done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    def facts(self, *arguments: str, **variables: str) -> dict[str, dict[str, object]]:
        """What it finds out of a registry where all is well, by what it is about."""
        done = self(*arguments, "--output", "json", **variables)
        assert done.code == 0, done.out
        document = json.loads(done.out)
        found = [one for one in document["findings"] if one["part"] == "registry"]
        return {one["what"]: one["facts"] for one in found}

    def fails(self, code: int, what: str, why: str, *arguments: str, stdin: str = "") -> None:
        """Run a command that must end with one line of a failure."""
        done = self(*arguments, stdin=stdin)
        assert done.code == code, done.out
        (line,) = (line for line in done.out.splitlines() if line.startswith("  failure"))
        assert line.split()[1] == what
        assert why in line
        assert done.out.splitlines()[-1].lstrip().startswith("hint: ")


@pytest.fixture
def doctor(command: Command) -> Doctor:
    return Doctor(command)


def is_clean(registry: Distribution) -> bool:
    """Whether nothing of an upload is left; Distribution keeps a cancelled one's empty folder."""
    kept = registry.folder / "storage/docker/registry/v2/repositories" / REPOSITORY / "_uploads"
    return not [path for path in kept.rglob("*") if path.is_file() and path.stat().st_size > 4096]


def test_a_plain_registry_is_well_and_nothing_is_left_in_it(
    distribution: Distribution, doctor: Doctor
) -> None:
    facts = doctor.facts(f"{distribution.host}/{REPOSITORY}", "--write")
    assert facts["connection"]["http"] == ["HTTP/1.1"]
    assert facts["registry"]["apiVersion"] == "registry/2.0"
    assert facts["mount probe"]["honest"] is True
    assert facts["clean-up"]["cancelled"] == facts["clean-up"]["sessions"] == 1
    assert facts["clean-up"]["removed"] is True
    assert not distribution.has_blob(REPOSITORY, str(facts["clean-up"]["blob"]))
    assert is_clean(distribution)


def test_a_registry_with_tls_speaks_both_versions_of_http(
    tls_distribution: Distribution, doctor: Doctor
) -> None:
    facts = doctor.facts(tls_distribution.host, SSL_CERT_FILE=str(tls_distribution.ca))
    assert facts["connection"]["tls"] == "TLS 1.3"
    assert facts["connection"]["http"] == ["HTTP/2", "HTTP/1.1"]
    assert facts["connection"]["issuer"] == "idpbuilder test CA"


def test_a_certificate_of_an_unknown_authority_is_told(
    tls_distribution: Distribution, doctor: Doctor
) -> None:
    why = "it was signed by an unknown authority"
    doctor.fails(3, "connection", why, tls_distribution.host)


def test_a_right_password_is_taken(htpasswd_distribution: Distribution, doctor: Doctor) -> None:
    to = f"{htpasswd_distribution.host}/{REPOSITORY}"
    done = doctor(to, *SIGN_IN, "--write", stdin=PASSWORD)
    assert done.code == 0, done.out
    assert "signed in with what flags or variables gave: Basic" in done.out
    assert is_clean(htpasswd_distribution)


@pytest.mark.parametrize("stdin", ["wrong", ""])
def test_a_wrong_password_and_none_are_told(
    htpasswd_distribution: Distribution, doctor: Doctor, stdin: str
) -> None:
    arguments = SIGN_IN if stdin else ()
    host = htpasswd_distribution.host
    doctor.fails(2, "sign-in", "it answered 401", host, *arguments, stdin=stdin)


def test_a_token_is_had_and_the_session_cancelled_with_one_that_may(
    token_distribution: Distribution, signed_tokens: TokenService, doctor: Doctor
) -> None:
    done = doctor(f"{token_distribution.host}/{REPOSITORY}", *SIGN_IN, "--write", stdin=PASSWORD)
    assert done.code == 0, done.out
    assert f"Bearer token of {signed_tokens.realm}" in done.out
    assert f"had for a push to `{REPOSITORY}`" in done.out
    assert "1 of 1 upload sessions cancelled" in done.out
    assert is_clean(token_distribution)


def test_a_registry_behind_nginx_is_well(
    distribution: Distribution, certificates: Certificates, doctor: Doctor
) -> None:
    need("nginx")
    with Nginx(distribution.url, tls=certificates.server) as nginx:
        facts = doctor.facts(
            f"{nginx.host}/{REPOSITORY}", "--write", SSL_CERT_FILE=str(certificates.ca)
        )
    assert facts["connection"]["scheme"] == "https"
    assert facts["clean-up"]["cancelled"] == 1


def test_what_nginx_takes_in_one_request_is_told(
    distribution: Distribution, doctor: Doctor
) -> None:
    need("nginx")
    with Nginx(distribution.url, directives="client_max_body_size 4k;") as nginx:
        done = doctor(f"{nginx.host}/{REPOSITORY}", "--write")
    assert done.code == 0, done.out
    assert "  warning  upload rate" in done.out
    assert "413" in done.out


def test_a_web_server_is_told(doctor: Doctor) -> None:
    need("nginx")
    with Nginx("http://127.0.0.1:1", directives="return 404;") as nginx:
        doctor.fails(5, "registry", "is no registry: it answered 404", nginx.host)


def test_a_gateway_without_a_registry_is_told(doctor: Doctor) -> None:
    need("nginx")
    with Nginx(f"http://127.0.0.1:{closed_port()}") as nginx:
        doctor.fails(5, "connection", "502", nginx.host)


def test_a_closed_port_is_told(doctor: Doctor) -> None:
    why = "the connection was refused"
    doctor.fails(3, "connection", why, f"127.0.0.1:{closed_port()}")


def test_a_server_that_hangs_is_told_after_the_timeout(doctor: Doctor) -> None:
    with NeverAnswers() as server:
        why = "the timeout of 0.5 s passed"
        doctor.fails(6, "connection", why, server.host, "--timeout", "500ms")


def test_this_machine_alone_is_told_without_a_registry(doctor: Doctor, tmp_path: Path) -> None:
    done = doctor(XDG_CACHE_HOME=str(tmp_path))
    assert done.code == 0, done.out
    assert f"{tmp_path}/idpbuilder-push/memory.db (nothing yet)" in done.out
    assert list(tmp_path.glob("idpbuilder-push*")) == []
