"""What is seen of this machine without asking anyone."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from idpbuilder import __version__
from idpbuilder.cli.exits import exit_of
from idpbuilder.doctor.finding import State
from idpbuilder.doctor.here import authorities, cache, program, proxies, temporary_files
from idpbuilder.doctor.units import size_text, time_text
from tests.parts.certificates import Certificates


def test_the_program_tells_its_versions() -> None:
    found = program(compiled=True)
    assert found.state is State.OK
    assert found.facts["version"] == __version__
    assert found.detail.startswith(f"idpbuilder-push {__version__} with compiled kernels, Python 3")


def test_pure_kernels_are_a_warning() -> None:
    found = program(compiled=False)
    assert (found.state, found.facts["kernels"]) == (State.WARNING, "pure")
    assert "slower" in found.hint


def test_a_cache_that_is_not_there_yet_is_well(tmp_path: Path) -> None:
    found = cache({"XDG_CACHE_HOME": str(tmp_path)}, "linux")
    assert found.state is State.OK
    assert found.detail == f"{tmp_path}/idpbuilder-push/memory.db (nothing yet)"


def test_a_cache_tells_the_bytes_of_all_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "idpbuilder-push"
    folder.mkdir()
    (folder / "memory.db").write_bytes(b"x" * 1_000)
    (folder / "memory.db-wal").write_bytes(b"x" * 500)
    (folder / "memory.lock").write_bytes(b"x")
    found = cache({"XDG_CACHE_HOME": str(tmp_path)}, "linux")
    assert found.facts["bytes"] == 1_500
    assert found.detail.endswith("(1.5 kB)")


def test_no_place_for_a_cache_is_a_warning() -> None:
    assert cache({}, "linux").state is State.WARNING


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_cache_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert cache({"XDG_CACHE_HOME": str(tmp_path)}, "linux").state is State.WARNING


def test_room_for_temporary_files_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found = temporary_files({"TMPDIR": str(tmp_path)}, scarce=0)
    assert (found.state, found.facts["path"]) == (State.OK, str(tmp_path))


def test_little_room_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found = temporary_files({}, scarce=2**62)
    assert found.state is State.WARNING
    assert "TMPDIR" in found.hint


def test_a_tmpdir_that_is_not_used_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found = temporary_files({"TMPDIR": "/nowhere"}, scarce=0)
    assert found.state is State.WARNING
    assert found.detail.startswith("`/nowhere` cannot be written")


def test_no_place_for_temporary_files_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    found = temporary_files({})
    assert found.state is State.FAILURE
    assert found.error is not None
    assert exit_of(found.error).code == 1


def test_certificates_are_counted_and_their_places_named(
    certificates: Certificates, tmp_path: Path
) -> None:
    folder = tmp_path / ".config" / "containers" / "certs.d" / "registry.test:5000"
    folder.mkdir(parents=True)
    environ = {
        "SSL_CERT_FILE": str(certificates.ca),
        "SSL_CERT_DIR": str(tmp_path / "none"),
        "HOME": str(tmp_path),
    }
    found = list(authorities(environ))
    assert found[0].facts["count"] == 1
    assert f"SSL_CERT_FILE={certificates.ca}" in found[0].detail
    assert [one.state for one in found[:2]] == [State.OK, State.WARNING]
    assert "SSL_CERT_DIR counts for nothing" in found[1].detail
    assert ("registry.test:5000",) in [one.facts.get("registries") for one in found]


def test_no_certificates_at_all_are_a_failure(tmp_path: Path) -> None:
    environ = {"SSL_CERT_FILE": str(tmp_path / "none"), "SSL_CERT_DIR": str(tmp_path)}
    (found,) = authorities(environ)
    assert found.state is State.FAILURE
    assert found.error is not None
    assert exit_of(found.error).code == 3


def test_proxies_are_told_without_what_signs_in_to_them() -> None:
    environ = {
        "HTTPS_PROXY": "http://me:secret/word@proxy.test:3128/?x=y",
        "no_proxy": "localhost,.test",
    }
    found, *warned = proxies(environ)
    assert found.detail == "HTTPS_PROXY=http://***@proxy.test:3128, no_proxy=localhost,.test"
    # a slash in a password ends the host, and is to be written otherwise
    assert [one.state for one in warned] == [State.WARNING]
    assert "secret" not in repr((found, warned))


def test_a_proxy_that_cannot_be_used_is_a_warning() -> None:
    first, second = proxies({"HTTPS_PROXY": "ftp://proxy.test", "NO_PROXY": "*"})
    assert (first.state, second.state) == (State.OK, State.WARNING)
    assert "HTTPS_PROXY" in second.detail


def test_no_proxy_at_all_is_well() -> None:
    (found,) = proxies({"HTTPS_PROXY": ""})
    assert found.detail == "no variable names one"


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (173, "173 B"), (999.9, "1.0 kB"), (2_500, "2.5 kB"), (999_960, "1.0 MB")],
)
def test_sizes_are_told_in_si_units(size: float, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.00042, "0.4 ms"), (0.035, "35 ms"), (1.24, "1.2 s")]
)
def test_times_are_told_in_units_that_fit(seconds: float, text: str) -> None:
    assert time_text(seconds) == text


def test_a_password_whose_host_was_forgotten_is_not_shown() -> None:
    found = list(proxies({"HTTPS_PROXY": "http://bob:hunter2"}))
    assert "hunter2" not in repr(found)
    assert "bob" not in repr(found)
