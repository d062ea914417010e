from __future__ import annotations

import base64
import os
import sys
from pathlib import Path

import certifi
import pytest

from idpbuilder.transport import trust as module
from idpbuilder.transport.trust import (
    Certificates,
    TrustUnusable,
    certs_d,
    check_folder,
    complaints,
    find_certificates,
    folder_for,
    own_settings,
)
from idpbuilder.wire import Trust


def pem(text: str) -> bytes:
    """What looks like a certificate: a SEQUENCE in a SEQUENCE."""
    inner = b"\x30" + bytes([len(text)]) + text.encode()
    der = base64.b64encode(b"\x30" + bytes([len(inner)]) + inner)
    return b"-----BEGIN CERTIFICATE-----\n%b\n-----END CERTIFICATE-----\n" % der


def cas(found: Certificates) -> list[str]:
    """The texts of the certificates that were put together, in their order."""
    assert found.ca_data is not None
    return [
        base64.b64decode(line)[4:].decode()
        for line in found.ca_data.splitlines()
        if line and not line.startswith(b"-----")
    ]


class Machine:
    """A system with a bundle, and a folder of it in which more may lie."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "etc-ssl"
        self.folder.mkdir()
        self.bundle = self.folder / "ca-bundle.crt"
        self.bundle.write_bytes(pem("system"))
        self.environ: dict[str, str] = {}

    def find(self, trust: Trust | None = None) -> Certificates:
        return find_certificates(
            trust or Trust(), self.environ, (str(self.bundle),), (str(self.folder),)
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "certs.d"
    path.mkdir()
    return path


# -- the system's


def test_the_first_bundle_that_holds_something_is_taken(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    places = (*(str(tmp_path / name) for name in ("missing", "empty")), str(machine.bundle))
    found = find_certificates(Trust(), {}, places, ())
    assert found == Certificates(ca_file=str(machine.bundle))


def test_certifi_is_the_last_resort(tmp_path: Path) -> None:
    missing = (str(tmp_path / "missing"),)
    assert find_certificates(Trust(), {}, missing, missing).ca_file == certifi.where()


def test_certifi_is_not_imported_where_the_system_has_a_bundle(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "certifi", None)  # importing it now raises
    assert machine.find().ca_file == str(machine.bundle)


def test_what_was_put_into_the_systems_folder_by_hand_counts_beside_the_bundle(
    machine: Machine, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "secret-of-a-pod"
    elsewhere.write_bytes(pem("mounted"))
    (machine.folder / "by-hand.pem").write_bytes(pem("by hand"))
    (machine.folder / "mounted.pem").symlink_to(elsewhere)
    (machine.folder / "junk").write_bytes(b"\0")
    (machine.folder / "java").mkdir()
    (machine.folder / "gone.pem").symlink_to("/no/such/file")
    assert cas(machine.find()) == ["system", "by hand", "mounted"]


def test_what_the_tools_of_the_bundle_put_there_is_in_it_already(
    machine: Machine, tmp_path: Path
) -> None:
    made = tmp_path / "usr-share/ca-certificates/mozilla"
    made.mkdir(parents=True)
    (made / "A.crt").write_bytes(pem("A"))
    (machine.folder / "A.pem").symlink_to(made / "A.crt")
    (machine.folder / "1a2b3c.0").symlink_to("A.pem")
    assert machine.find() == Certificates(ca_file=str(machine.bundle))
    (made / "etc").mkdir()
    (made / "etc/B.pem").write_bytes(pem("B"))
    found = find_certificates(Trust(), {}, (str(machine.bundle),), (str(made / "etc"),))
    assert found == Certificates(ca_file=str(machine.bundle))


def test_a_folder_under_two_names_counts_once(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(machine.folder)
    (machine.folder / "by-hand.pem").write_bytes(pem("by hand"))
    folders = (str(machine.folder), str(tmp_path / "alias"))
    found = find_certificates(Trust(), {}, (str(machine.bundle),), folders)
    assert cas(found) == ["system", "by hand"]


# -- the variables


def test_a_file_that_a_variable_names_counts_beside_the_systems(
    machine: Machine, tmp_path: Path
) -> None:
    (tmp_path / "own.pem").write_bytes(pem("own"))
    machine.environ = {"SSL_CERT_FILE": str(tmp_path / "own.pem")}
    assert cas(machine.find()) == ["system", "own"]


def test_folders_that_a_variable_names_count_beside_the_bundle(
    machine: Machine, tmp_path: Path
) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.pem").write_bytes(pem(name))
        # as `openssl rehash` calls it
        (tmp_path / name / "1a2b3c.0").symlink_to(f"{name}.pem")
    (machine.folder / "by-hand.pem").write_bytes(pem("by hand"))
    machine.environ = {"SSL_CERT_DIR": f"{tmp_path}/a::/no/such:{tmp_path}/b"}
    assert cas(machine.find()) == ["system", "a", "b"]


def test_both_variables_take_the_place_of_the_systems(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "own.pem").write_bytes(pem("own"))
    (tmp_path / "a").mkdir()
    (tmp_path / "a/a.pem").write_bytes(pem("a"))
    machine.environ = {"SSL_CERT_FILE": f"{tmp_path}/own.pem", "SSL_CERT_DIR": f"{tmp_path}/a"}
    assert cas(machine.find()) == ["own", "a"]
    machine.environ = {"SSL_CERT_FILE": "/no/such", "SSL_CERT_DIR": "/no/such"}
    with pytest.raises(TrustUnusable, match="they hold no certificate in PEM form"):
        machine.find()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file or directory"),
        (b"", "it holds no certificate in PEM form"),
        (b"\x30\x03\x30\x01\x00", "it holds no certificate in PEM form"),
        (pem("own")[:-10], "it holds no certificate in PEM form"),
        (b"x" * 100, "it is larger than 99 bytes"),
    ],
    ids=["missing", "empty", "der", "cut off", "huge"],
)
def test_a_file_that_is_named_in_vain_is_told_and_counts_for_nothing(
    machine: Machine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    content: bytes | None,
    reason: str,
) -> None:
    monkeypatch.setattr(module, "LIMIT", 99)
    path = tmp_path / "own.pem"
    if content is not None:
        path.write_bytes(content)
    machine.environ = {"SSL_CERT_FILE": str(path)}
    assert machine.find() == Certificates(ca_file=str(machine.bundle))
    told = f"SSL_CERT_FILE counts for nothing: `{path}` cannot be read: {reason}"
    assert list(complaints(machine.environ)) == [told]


def test_what_is_no_file_is_neither_read_nor_waited_for(machine: Machine, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (str(tmp_path / "pipe"), "/dev/zero", str(tmp_path)):
        machine.environ = {"SSL_CERT_FILE": path}
        assert machine.find() == Certificates(ca_file=str(machine.bundle))
        (told,) = complaints(machine.environ)
        assert told.endswith(("it is no regular file", "Is a directory"))


def test_folders_that_are_named_in_vain_are_told(tmp_path: Path) -> None:
    folders = f"{tmp_path}:/no/such"
    told = f"SSL_CERT_DIR counts for nothing: no certificate in PEM form is in `{folders}`"
    assert list(complaints({"SSL_CERT_DIR": folders})) == [told]
    (tmp_path / "a.pem").write_bytes(pem("a"))
    assert list(complaints({"SSL_CERT_DIR": folders})) == []
    assert list(complaints({})) == []


@pytest.mark.parametrize(
    "spoilt",
    [
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\n\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nMP////8=\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nMIIB\n",
        b"-----BEGIN PRIVATE KEY-----\nMAIwAA==\n-----END PRIVATE KEY-----\n",
        b"\xef\xbb\xbf",
        b"# a comment with -----\r\n",
    ],
)
def test_a_certificate_that_is_none_does_not_spoil_the_others(
    machine: Machine, tmp_path: Path, spoilt: bytes
) -> None:
    (tmp_path / "own.pem").write_bytes(spoilt + pem("own").replace(b"\n", b"\r\n") + spoilt)
    machine.environ = {"SSL_CERT_FILE": str(tmp_path / "own.pem")}
    assert cas(machine.find()) == ["system", "own"]


# -- a folder of a registry's own


def test_without_verification_no_ca_is_read(machine: Machine, folder: Path) -> None:
    (folder / "ca.crt").write_bytes(pem("ca"))
    machine.environ = {"SSL_CERT_FILE": "/no/such"}
    assert machine.find(Trust(verify=False, cert_dir=str(folder))) == Certificates()


def test_the_folders_crts_are_added_to_the_bundle(machine: Machine, folder: Path) -> None:
    (folder / "b.crt").write_bytes(pem("B"))
    (folder / "a.crt").write_bytes(pem("A"))
    (folder / "c.crt").write_bytes(b"no certificate")
    (folder / "gone.crt").symlink_to("/no/such")
    (folder / "readme.txt").write_bytes(b"?")
    assert cas(machine.find(Trust(cert_dir=str(folder)))) == ["system", "A", "B"]


def test_a_folder_without_crts_leaves_the_bundle(machine: Machine, folder: Path) -> None:
    found = machine.find(Trust(cert_dir=str(folder)))
    assert found == Certificates(ca_file=str(machine.bundle))


def test_a_crt_that_cannot_be_read_counts_for_nothing(machine: Machine, folder: Path) -> None:
    (folder / "ca.crt").mkdir()
    (folder / "gone.crt").symlink_to("/no/such")
    found = machine.find(Trust(cert_dir=str(folder)))
    assert found == Certificates(ca_file=str(machine.bundle))


KEY = "-----BEGIN EC PRIVATE KEY-----"


def pair(folder: Path, name: str = "me") -> None:
    """A client's certificate and its key, as far as can be seen."""
    (folder / f"{name}.cert").write_bytes(pem(name))
    (folder / f"{name}.key").write_text(KEY)


def test_a_cert_and_its_key_are_the_clients_own(folder: Path) -> None:
    pair(folder)
    found = find_certificates(Trust(verify=False, cert_dir=str(folder)), {})
    assert (found.client_cert, found.client_key) == (f"{folder}/me.cert", f"{folder}/me.key")


@pytest.mark.parametrize(("half", "other"), [("me.cert", "me.key"), ("me.key", "me.cert")])
def test_half_of_a_pair_is_told(folder: Path, half: str, other: str) -> None:
    (folder / half).touch()
    (folder / "me.crt").write_bytes(pem("me"))
    with pytest.raises(TrustUnusable, match=rf"holds `{half}` but no `{other}`"):
        find_certificates(Trust(cert_dir=str(folder)), {})


@pytest.mark.parametrize("bad", ["me.cert", "me.key"])
def test_a_half_that_cannot_be_read_is_told(folder: Path, bad: str) -> None:
    pair(folder)
    (folder / bad).unlink()
    (folder / bad).mkdir()
    with pytest.raises(TrustUnusable, match=rf"{bad}` cannot be read: Is a directory"):
        find_certificates(Trust(verify=False, cert_dir=str(folder)), {})


@pytest.mark.parametrize(
    ("bad", "reason"), [("me.cert", "no certificate"), ("me.key", "no private key")]
)
def test_a_half_that_is_something_else_is_told(folder: Path, bad: str, reason: str) -> None:
    pair(folder)
    (folder / bad).write_bytes(b"junk")
    with pytest.raises(TrustUnusable, match=rf"{bad}` cannot be read: it holds {reason} in PEM"):
        find_certificates(Trust(verify=False, cert_dir=str(folder)), {})


@pytest.mark.parametrize(
    "text", ["-----BEGIN ENCRYPTED PRIVATE KEY-----", f"{KEY}\nProc-Type: 4,ENCRYPTED"]
)
def test_a_key_with_a_passphrase_is_told(folder: Path, text: str) -> None:
    pair(folder)
    (folder / "me.key").write_text(text)
    with pytest.raises(TrustUnusable, match=r"me.key` cannot be read: it has a passphrase"):
        find_certificates(Trust(verify=False, cert_dir=str(folder)), {})


def test_a_missing_folder_is_told() -> None:
    with pytest.raises(TrustUnusable, match=r"`/no/such` cannot be read"):
        find_certificates(Trust(cert_dir="/no/such"), {})


def test_a_folder_is_looked_through_before_it_is_needed(folder: Path) -> None:
    check_folder(str(folder))
    (folder / "me.cert").touch()
    with pytest.raises(TrustUnusable, match=r"holds `me.cert` but no `me.key`"):
        check_folder(str(folder))
    pair(folder)
    (folder / "ca.crt").mkdir()
    with pytest.raises(TrustUnusable, match=r"ca.crt` cannot be read: Is a directory"):
        check_folder(str(folder))
    (folder / "ca.crt").rmdir()
    (folder / "ca.crt").write_bytes(b"DER")
    with pytest.raises(TrustUnusable, match=r"ca.crt` cannot be read: it holds no certificate"):
        check_folder(str(folder))


def test_a_bundle_in_the_systems_place_stands_alone(machine: Machine, tmp_path: Path) -> None:
    only = tmp_path / "only.pem"
    only.write_bytes(pem("only"))
    assert cas(machine.find(Trust(only=str(only)))) == ["only"]
    only.write_bytes(b"junk")
    with pytest.raises(TrustUnusable, match=r"only.pem` cannot be read: it holds no certificate"):
        machine.find(Trust(only=str(only)))


# -- where the folders are


def test_certs_d_is_podmans_then_dockers_then_those_of_its_kin() -> None:
    assert certs_d({"HOME": "/h"}) == [
        "/h/.config/containers/certs.d",
        "/etc/containers/certs.d",
        "/etc/docker/certs.d",
        "/h/.config/docker/certs.d",
        "/h/.docker/certs.d",
    ]
    both = certs_d({"HOME": "/h", "XDG_CONFIG_HOME": "/x"})
    assert both[:2] == ["/x/containers/certs.d", "/h/.config/containers/certs.d"]


def test_a_folder_for_settings_that_is_none_is_left_out() -> None:
    assert own_settings({"HOME": "/h", "XDG_CONFIG_HOME": "relative"}) == ["/h/.config"]


def test_the_first_folder_of_a_registry_counts_and_is_told(tmp_path: Path) -> None:
    notes: list[str] = []
    places = [str(tmp_path / name) for name in ("none", "file", "empty", "first", "second")]
    (tmp_path / "file").touch()
    for name in ("empty", "first", "second"):
        (tmp_path / name / "registry.test:5000").mkdir(parents=True)
    for name in ("first", "second"):
        (tmp_path / name / "registry.test:5000/ca.crt").write_bytes(pem("ca"))
    first = f"{tmp_path}/first/registry.test:5000"
    assert folder_for("registry.test:5000", places, notes.append, notes.append) == first
    passed = f"{tmp_path}/empty/registry.test:5000"
    assert notes == [
        f"trust: `{passed}` is passed over: no `.crt`, `.cert` or `.key` is in it",
        f"trust: certificates for registry.test:5000 are taken from `{first}`",
    ]
    # a port is part of the name
    assert folder_for("registry.test", places, notes.append, notes.append) is None


def test_a_folder_is_called_as_the_registry_is_written(tmp_path: Path) -> None:
    for registry in ("[::1]:5000", "[fd00::1]", "Registry.test"):
        (tmp_path / registry).mkdir()
        (tmp_path / registry / "ca.crt").write_bytes(pem("ca"))
        found = folder_for(registry, [str(tmp_path)], lambda _: None, lambda _: None)
        assert found == f"{tmp_path}/{registry}"


def test_what_in_a_folder_of_certs_d_is_no_certificate_is_told(tmp_path: Path) -> None:
    warnings: list[str] = []
    folder = tmp_path / "registry.test"
    folder.mkdir()
    (folder / "junk.crt").touch()
    (folder / "other").touch()
    found = folder_for("registry.test", [str(tmp_path)], lambda _: None, warnings.append)
    assert found == str(folder)
    (warning,) = warnings
    assert "a CA counts for nothing: " in warning
    assert "junk.crt` cannot be read: it holds no certificate" in warning


def test_of_several_client_certificates_the_one_that_is_shown_is_told(tmp_path: Path) -> None:
    notes: list[str] = []
    folder = tmp_path / "registry.test"
    folder.mkdir()
    for name in "ba":
        pair(folder, name)
    folder_for("registry.test", [str(tmp_path)], notes.append, notes.append)
    assert notes[1] == f"trust: of 2 client certificates in `{folder}` `a.cert` is shown"


def test_a_folder_that_may_not_be_read_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # root may read everything
    def refuse(path: str) -> list[str]:
        raise PermissionError(13, "Permission denied")

    notes: list[str] = []
    monkeypatch.setattr("os.listdir", refuse)
    places = ["/etc/docker/certs.d"]
    assert folder_for("registry.test", places, notes.append, notes.append) is None
    folder = "/etc/docker/certs.d/registry.test"
    assert notes == [f"trust: `{folder}` is passed over: Permission denied"]


def test_the_places_of_this_machine_give_some_authority() -> None:
    found = find_certificates(Trust(), {})
    data = found.ca_data or Path(found.ca_file or "").read_bytes()
    assert b"-----BEGIN CERTIFICATE-----" in data
