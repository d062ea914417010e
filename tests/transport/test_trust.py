from __future__ import annotations

import sys
from pathlib import Path

import certifi
import pytest

from idpbuilder.transport.trust import (
    Certificates,
    TrustUnusable,
    certs_d,
    check_folder,
    find_certificates,
    folder_for,
)
from idpbuilder.wire import Trust


def pem(text: str) -> bytes:
    """What looks like a certificate."""
    return f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n".encode()


@pytest.fixture
def bundle(tmp_path: Path) -> str:
    path = tmp_path / "bundle.pem"
    path.write_bytes(pem("system"))
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
    own.write_bytes(pem("own"))
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
    (folder / "b.crt").write_bytes(pem("B"))
    (folder / "a.crt").write_bytes(pem("A"))
    (folder / "c.crt").write_bytes(b"no certificate")
    (folder / "readme.txt").write_bytes(b"?")
    found = find_certificates(Trust(cert_dir=str(folder)), {}, (bundle,))
    assert found == Certificates(ca_data=b"\n".join(map(pem, ("system", "A", "B"))))


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
    (folder / "ca.crt").rmdir()
    (folder / "ca.crt").write_bytes(b"DER")
    with pytest.raises(TrustUnusable, match=r"ca.crt` cannot be read: it holds no certificate"):
        check_folder(str(folder))


def test_a_key_without_its_cert_is_told(folder: Path) -> None:
    (folder / "me.key").touch()
    (folder / "me.crt").touch()
    with pytest.raises(TrustUnusable, match=r"holds `me.key` but no `me.cert`"):
        find_certificates(Trust(cert_dir=str(folder)), {})


def test_a_file_that_is_no_bundle_is_told(tmp_path: Path, bundle: str) -> None:
    (tmp_path / "junk").write_bytes(b"junk")
    named = str(tmp_path / "junk")
    with pytest.raises(TrustUnusable, match=r"junk` cannot be read: it holds no certificate"):
        find_certificates(Trust(), {"SSL_CERT_FILE": named}, (bundle,))
    with pytest.raises(TrustUnusable, match=r"junk` cannot be read: it holds no certificate"):
        find_certificates(Trust(only=named), {}, (bundle,))


def test_certs_d_is_podmans_then_dockers_then_rootless_dockers() -> None:
    assert certs_d({"HOME": "/h"}) == [
        "/h/.config/containers/certs.d",
        "/etc/containers/certs.d",
        "/etc/docker/certs.d",
        "/h/.config/docker/certs.d",
    ]
    both = certs_d({"HOME": "/h", "XDG_CONFIG_HOME": "/x"})
    assert both[:2] == ["/x/containers/certs.d", "/h/.config/containers/certs.d"]
    assert certs_d({"XDG_CONFIG_HOME": "relative"}) == [
        "/etc/containers/certs.d",
        "/etc/docker/certs.d",
    ]


def test_the_first_folder_of_a_registry_counts_and_is_told(tmp_path: Path) -> None:
    notes: list[str] = []
    places = [str(tmp_path / name) for name in ("none", "file", "first", "second")]
    (tmp_path / "file").touch()
    for name in ("first", "second"):
        (tmp_path / name / "registry.test:5000").mkdir(parents=True)
    first = f"{tmp_path}/first/registry.test:5000"
    assert folder_for("registry.test:5000", places, notes.append) == first
    assert notes == [f"trust: certificates for registry.test:5000 are taken from `{first}`"]
    # a port is part of the name
    assert folder_for("registry.test", places, notes.append) is None


def test_what_in_a_folder_of_certs_d_is_no_certificate_is_told(tmp_path: Path) -> None:
    notes: list[str] = []
    folder = tmp_path / "registry.test"
    folder.mkdir()
    (folder / "junk.crt").touch()
    (folder / "other").touch()
    assert folder_for("registry.test", [str(tmp_path)], notes.append) == str(folder)
    assert "junk.crt` cannot be read: it holds no certificate" in notes[1]
    assert len(notes) == 2


def test_a_folder_that_may_not_be_read_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # root may read everything
    def refuse(path: str) -> list[str]:
        raise PermissionError(13, "Permission denied")

    notes: list[str] = []
    monkeypatch.setattr("os.listdir", refuse)
    assert folder_for("registry.test", ["/etc/docker/certs.d"], notes.append) is None
    folder = "/etc/docker/certs.d/registry.test"
    assert notes == [f"trust: `{folder}` is passed over: Permission denied"]
