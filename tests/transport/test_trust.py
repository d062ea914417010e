from __future__ import annotations

import sys
from pathlib import Path

import certifi
import pytest

from idpbuilder.transport.trust import (
    Certificates,
    TrustUnusable,
    check_folder,
    find_certificates,
)
from idpbuilder.wire import Trust


@pytest.fixture
def bundle(tmp_path: Path) -> str:
    path = tmp_path / "bundle.pem"
    path.write_bytes(b"system")
    return str(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "certs.d"
    path.mkdir()
    return path


def test_the_first_bundle_that_is_there_is_taken(bundle: str, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    assert find_certificates(Trust(), {}, (missing, bundle)) == Certificates(ca_file=bundle)


def test_certifi_is_the_last_resort(tmp_path: Path) -> None:
    found = find_certificates(Trust(), {}, (str(tmp_path / "missing"),))
    assert found.ca_file == certifi.where()


def test_certifi_is_not_imported_where_the_system_has_a_bundle(
    bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "certifi", None)  # importing it now raises
    assert find_certificates(Trust(), {}, (bundle,)).ca_file == bundle


def test_variables_come_before_the_bundle(bundle: str, tmp_path: Path) -> None:
    own = tmp_path / "own.pem"
    own.write_bytes(b"own")
    environ = {"SSL_CERT_FILE": str(own), "SSL_CERT_DIR": "/a:/b"}
    assert find_certificates(Trust(), environ, (bundle,)) == Certificates(str(own), "/a:/b")


def test_a_named_file_that_is_missing_is_told(bundle: str) -> None:
    with pytest.raises(TrustUnusable, match=r"`/no/such` cannot be read: No such file"):
        find_certificates(Trust(), {"SSL_CERT_FILE": "/no/such"}, (bundle,))


def test_without_verification_no_ca_is_read(folder: Path) -> None:
    (folder / "ca.crt").write_bytes(b"ca")
    trust = Trust(verify=False, cert_dir=str(folder))
    assert find_certificates(trust, {"SSL_CERT_FILE": "/no/such"}) == Certificates()


def test_the_folders_crts_are_added_to_the_bundle(bundle: str, folder: Path) -> None:
    (folder / "b.crt").write_bytes(b"B")
    (folder / "a.crt").write_bytes(b"A")
    (folder / "readme.txt").write_bytes(b"?")
    found = find_certificates(Trust(cert_dir=str(folder)), {}, (bundle,))
    assert found == Certificates(ca_data=b"system\nA\nB")


def test_a_folder_without_crts_leaves_the_bundle(bundle: str, folder: Path) -> None:
    found = find_certificates(Trust(cert_dir=str(folder)), {}, (bundle,))
    assert found == Certificates(ca_file=bundle)


def test_a_cert_and_its_key_are_the_clients_own(bundle: str, folder: Path) -> None:
    for name in ("me.cert", "me.key"):
        (folder / name).touch()
    found = find_certificates(Trust(verify=False, cert_dir=str(folder)), {})
    assert (found.client_cert, found.client_key) == (f"{folder}/me.cert", f"{folder}/me.key")


def test_a_cert_without_its_key_is_told(folder: Path) -> None:
    (folder / "me.cert").touch()
    with pytest.raises(TrustUnusable, match=r"holds `me.cert` but no `me.key`"):
        find_certificates(Trust(cert_dir=str(folder)), {})


def test_a_missing_folder_is_told(bundle: str) -> None:
    with pytest.raises(TrustUnusable, match=r"`/no/such` cannot be read"):
        find_certificates(Trust(cert_dir="/no/such"), {}, (bundle,))


def test_a_folder_is_looked_through_before_it_is_needed(folder: Path) -> None:
    check_folder(str(folder))
    (folder / "me.cert").touch()
    with pytest.raises(TrustUnusable, match=r"holds `me.cert` but no `me.key`"):
        check_folder(str(folder))
    (folder / "me.key").touch()
    (folder / "ca.crt").mkdir()
    with pytest.raises(TrustUnusable, match=r"ca.crt` cannot be read: Is a directory"):
        check_folder(str(folder))
