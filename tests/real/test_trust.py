"""Whom a push believes: nginx before Distribution, under every certificate and every setting.

The settings are those of docker and podman; skopeo, which reads podman's, pushes by the same ones.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.parts.certificates import ANY_ADDRESS, Certificates, KeyPair
from tests.parts.distribution import PASSWORD, USER, Distribution, DistributionOptions
from tests.parts.images import ImageSpec, Layout, write_layout
from tests.parts.nginx import Nginx
from tests.parts.programs import need
from tests.parts.skopeo import Skopeo
from tests.real.command import Command, Done
from tests.real.conftest import Start

CONFIG = ".config/containers"


@dataclass(frozen=True, slots=True)
class Case:
    """The command in a home where settings can be written, and an image."""

    command: Command
    layout: Layout
    skopeo: Skopeo

    def push(self, host: str, *arguments: object, **variables: str) -> Done:
        """Push to `host` without another try."""
        words = ("--to", f"{host}/trust/app:v1", "--retry-attempts", "0", *arguments)
        return self.command(self.layout.path, *words, **variables)

    def fails(self, why: str, host: str, *arguments: object, **variables: str) -> str:
        """The push must fail by the network's fault with this reason; the hint."""
        done = self.push(host, *arguments, **variables)
        assert done.code == 3, done.err
        error, _, hint = done.err.partition("\n\nhint: ")
        assert why in error
        return hint

    def works(self, host: str, *arguments: object, **variables: str) -> str:
        """The push must work; what it told."""
        done = self.push(host, "--verbose", *arguments, **variables)
        assert done.code == 0, done.err
        return done.err

    def skopeo_pushes(self, host: str, **variables: str) -> bool:
        """Whether skopeo can push there by the settings of the same home."""
        skopeo = Skopeo(self.skopeo.program, self.command.home)
        place = f"docker://{host}/trust/skopeo:v1"
        try:
            skopeo.run("copy", "-q", f"oci:{self.layout.path}", place, **variables)
        except AssertionError:
            return False
        return True

    def write(self, place: str, content: str) -> Path:
        """A file in the home."""
        path = self.command.home / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        path.chmod(0o644)
        return path

    def certs_d(self, host: str, *, under: str = f"{CONFIG}/certs.d", **files: Path) -> Path:
        """A folder of a registry; `ca_crt=path` becomes `ca.crt`."""
        folder = self.command.home / under / host
        folder.mkdir(parents=True)
        for name, source in files.items():
            shutil.copy(source, folder / name.replace("_", "."))
        return folder


@pytest.fixture
def case(command: Command, skopeo: Skopeo, tmp_path: Path) -> Case:
    return Case(command, write_layout(tmp_path / "image", [ImageSpec(real=True)]), skopeo)


@pytest.fixture
def front(distribution: Distribution, certificates: Certificates) -> Iterator[Nginx]:
    with Nginx(distribution.url, tls=certificates.server, program=need("nginx")) as nginx:
        yield nginx


@pytest.fixture
def careful_front(distribution: Distribution, certificates: Certificates) -> Iterator[Nginx]:
    """One that wants a client certificate."""
    with Nginx(
        distribution.url,
        tls=certificates.server,
        client_ca=certificates.ca,
        program=need("nginx"),
    ) as nginx:
        yield nginx


# -- certificates that are no good


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("server", "it was signed by an unknown authority"),
        ("self_signed", "it is self-signed"),
        ("expired", "it has expired"),
        ("not_yet_valid", "it is not valid yet"),
        ("wrong_host", "it is for another host name"),
    ],
)
def test_each_bad_certificate_has_its_own_message_and_the_same_ways_out(
    kind: str,
    reason: str,
    case: Case,
    distribution: Distribution,
    certificates: Certificates,
) -> None:
    pair: KeyPair = getattr(certificates, kind)
    variables = {} if kind == "server" else {"SSL_CERT_FILE": str(certificates.ca)}
    with Nginx(distribution.url, tls=pair, program=need("nginx")) as front:
        for host in (front.host, f"localhost:{front.port}"):
            told = reason
            if kind == "wrong_host" and host == front.host:
                told = "it is for another address"
            why = f"the certificate is not trusted: {told}"
            hint = case.fails(why, host, **variables)
            for way in ("install the CA", "SSL_CERT_FILE", "--cert-dir", "certs.d", "--insecure"):
                assert way in hint
        case.works(front.host, "--insecure", **variables)
        case.works(front.host, IDPBUILDER_REGISTRY_INSECURE="true", **variables)


def test_a_certificate_that_cannot_be_verified_is_not_tried_again(case: Case, front: Nginx) -> None:
    done = case.command(case.layout.path, "--to", f"{front.host}/trust/app:v1", "--verbose")
    assert done.code == 3
    assert "retry" not in done.err


def test_an_authority_between_must_be_shown(
    case: Case, distribution: Distribution, certificates: Certificates
) -> None:
    system = {"SSL_CERT_FILE": str(certificates.ca)}
    nginx = need("nginx")
    with Nginx(distribution.url, tls=certificates.unchained, program=nginx) as front:
        case.fails("it was signed by an unknown authority", front.host, **system)
    with Nginx(distribution.url, tls=certificates.chain, program=nginx) as front:
        case.works(front.host, **system)


def test_old_tls_is_not_spoken(
    case: Case, distribution: Distribution, certificates: Certificates
) -> None:
    with Nginx(distribution.url, tls=certificates.server, old=True, program=need("nginx")) as front:
        hint = case.fails("the server speaks no TLS 1.2 or later", front.host, "--insecure")
    assert "TLS 1.2" in hint


# -- where CAs come from


@dataclass(frozen=True, slots=True)
class Variables:
    """Files and folders for SSL_CERT_FILE and SSL_CERT_DIR; `other` is of an authority that signed
    nothing here.
    """

    ca: Path
    other: Path
    hashed: Path
    unhashed: Path
    mixed: Path


@pytest.fixture
def named(certificates: Certificates, tmp_path: Path) -> Variables:
    for name in ("hashed", "unhashed"):
        (tmp_path / name).mkdir()
        shutil.copy(certificates.ca, tmp_path / name / "corporate.pem")
    words = ["openssl", "rehash", str(tmp_path / "hashed")]
    subprocess.run(words, check=True, capture_output=True)
    mixed = tmp_path / "mixed.pem"
    broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    mixed.write_bytes(broken + certificates.ca.read_bytes().replace(b"\n", b"\r\n") + broken)
    other = certificates.self_signed.cert
    return Variables(certificates.ca, other, tmp_path / "hashed", tmp_path / "unhashed", mixed)


@pytest.mark.parametrize(
    ("variables", "works"),
    [
        ({"SSL_CERT_FILE": "ca"}, True),
        ({"SSL_CERT_FILE": "mixed"}, True),
        ({"SSL_CERT_DIR": "hashed"}, True),
        ({"SSL_CERT_DIR": "unhashed"}, True),
        ({"SSL_CERT_FILE": "other", "SSL_CERT_DIR": "unhashed"}, True),
        ({"SSL_CERT_FILE": "missing", "SSL_CERT_DIR": "unhashed"}, True),
        ({"SSL_CERT_FILE": "ca", "SSL_CERT_DIR": "missing"}, True),
        ({"SSL_CERT_FILE": "other"}, False),
        ({"SSL_CERT_FILE": "missing"}, False),
        ({}, False),
    ],
    ids=str,
)
def test_the_variables_mean_what_skopeo_takes_them_for(
    variables: dict[str, str], works: bool, case: Case, front: Nginx, named: Variables
) -> None:
    environ = {
        variable: str(getattr(named, name, "/no/such")) for variable, name in variables.items()
    }
    assert case.skopeo_pushes(front.host, **environ) == works
    assert (case.push(front.host, **environ).code == 0) == works


def test_a_bundle_that_cannot_be_used_is_told_and_stops_nothing(
    case: Case,
    front: Nginx,
    distribution: Distribution,
    certificates: Certificates,
    tmp_path: Path,
) -> None:
    junk, der = tmp_path / "junk.pem", tmp_path / "ca.der"
    junk.write_text("junk")
    words = ("openssl", "x509", "-in", certificates.ca, "-outform", "der", "-out", der)
    subprocess.run(words, check=True, capture_output=True)
    folder = {"ca_crt": certificates.ca}
    for path, why in (
        ("/no/such", "No such file or directory"),
        (str(tmp_path), "Is a directory"),
        ("/dev/zero", "it is no regular file"),
        (str(junk), "it holds no certificate in PEM form"),
        (str(der), "it holds no certificate in PEM form"),
    ):
        warning = f"Warning: SSL_CERT_FILE counts for nothing: `{path}` cannot be read: {why}"
        # a registry without TLS, and one whose authority is named elsewhere
        assert warning in case.works(distribution.host, SSL_CERT_FILE=path)
        done = case.push(front.host, SSL_CERT_FILE=path)
        assert (done.code, warning in done.err) == (3, True)
        assert "SSL_CERT_FILE" in done.err.partition("hint: ")[2]
    case.certs_d(front.host, **folder)
    case.works(front.host, SSL_CERT_FILE="/no/such")


@pytest.mark.parametrize("under", [f"{CONFIG}/certs.d", ".config/docker/certs.d"])
def test_a_folder_of_certs_d_holds_the_ca(
    under: str, case: Case, front: Nginx, certificates: Certificates
) -> None:
    case.fails("unknown authority", front.host)
    folder = case.certs_d(front.host, under=under, ca_crt=certificates.ca)
    assert f"certificates for {front.host} are taken from `{folder}`" in case.works(front.host)
    # the folder is called as the registry is in the reference
    case.fails("unknown authority", f"localhost:{front.port}")


def test_skopeo_reads_the_same_certs_d(
    case: Case, front: Nginx, careful_front: Nginx, certificates: Certificates
) -> None:
    assert not case.skopeo_pushes(front.host)
    case.certs_d(front.host, ca_crt=certificates.ca)
    assert case.skopeo_pushes(front.host)
    case.works(front.host)
    client = certificates.client
    case.certs_d(careful_front.host, ca_crt=certificates.ca, me_cert=client.cert, me_key=client.key)
    assert case.skopeo_pushes(careful_front.host)
    case.works(careful_front.host)


def test_a_ca_of_a_folder_that_is_none_is_told_and_does_not_spoil_the_others(
    case: Case, front: Nginx, certificates: Certificates, tmp_path: Path
) -> None:
    junk = tmp_path / "junk"
    junk.write_text("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n")
    folder = case.certs_d(front.host, a_crt=junk, b_crt=certificates.ca)
    (folder / "c.crt").symlink_to("/no/such")
    told = case.works(front.host)
    for name in ("a.crt", "c.crt"):
        assert f"Warning: a CA counts for nothing: `{folder}/{name}` cannot be read" in told
    (folder / "c.crt").unlink()
    assert case.skopeo_pushes(front.host)


def test_a_folder_of_certs_d_that_is_empty_hides_no_other(
    case: Case, front: Nginx, certificates: Certificates
) -> None:
    case.certs_d(front.host)
    folder = case.certs_d(front.host, under=".docker/certs.d", ca_crt=certificates.ca)
    assert f"are taken from `{folder}`" in case.works(front.host)


def test_the_cas_of_a_folder_come_on_top_of_the_systems(
    case: Case, front: Nginx, certificates: Certificates
) -> None:
    case.certs_d(front.host, other_crt=certificates.self_signed.cert)
    case.fails("unknown authority", front.host)
    case.works(front.host, SSL_CERT_FILE=str(certificates.ca))


def test_the_folder_that_is_named_takes_the_place_of_certs_d(
    case: Case, front: Nginx, certificates: Certificates, tmp_path: Path
) -> None:
    named = tmp_path / "named"
    named.mkdir()
    case.certs_d(front.host, ca_crt=certificates.ca)
    case.works(front.host)
    case.fails("unknown authority", front.host, "--cert-dir", named)
    shutil.copy(certificates.ca, named / "ca.crt")
    case.works(front.host, "--cert-dir", named)


# -- client certificates


def test_a_client_certificate_from_certs_d_and_from_the_folder_that_is_named(
    case: Case, distribution: Distribution, certificates: Certificates, tmp_path: Path
) -> None:
    ca = {"SSL_CERT_FILE": str(certificates.ca)}
    with Nginx(
        distribution.url, tls=certificates.server, client_ca=certificates.ca, program=need("nginx")
    ) as front:
        done = case.push(front.host, **ca)
        assert done.code == 5
        assert "No required SSL certificate was sent" in done.err
        client = certificates.client
        folder = case.certs_d(front.host, me_cert=client.cert, me_key=client.key)
        case.works(front.host, **ca)
        case.works(front.host, "--insecure")
        folder.rename(tmp_path / "named")
        assert case.push(front.host, **ca).code == 5
        case.works(front.host, "--cert-dir", tmp_path / "named", **ca)
    assert {seen.client for seen in front.seen if seen.status != "400"} == {"CN=client"}


def test_a_registry_that_ends_the_handshake_without_a_client_certificate(
    case: Case, start_distribution: Start, certificates: Certificates
) -> None:
    options = DistributionOptions(
        tls=certificates.server, ca=certificates.ca, client_ca=certificates.ca
    )
    client = certificates.client
    with start_distribution(options) as registry:
        case.fails("", registry.host, SSL_CERT_FILE=str(certificates.ca))
        case.certs_d(registry.host, me_cert=client.cert, me_key=client.key)
        done = case.push(registry.host, SSL_CERT_FILE=str(certificates.ca))
    assert done.code == 0, done.err


def test_a_key_with_a_passphrase_is_told(
    case: Case, careful_front: Nginx, certificates: Certificates, tmp_path: Path
) -> None:
    client, key = certificates.client, tmp_path / "locked.key"
    words = ("openssl", "pkcs8", "-topk8", "-passout", "pass:secret", "-in", client.key)
    subprocess.run([*words, "-out", key], check=True, capture_output=True)
    host = careful_front.host
    folder = case.certs_d(host, ca_crt=certificates.ca, me_cert=client.cert, me_key=key)
    why = f"`{folder}/me.key` cannot be read: it has a passphrase, and nobody is asked"
    assert "--cert-dir" in case.fails(why, host)
    assert not case.skopeo_pushes(host)
    done = case.push(host, "--cert-dir", folder)
    assert (done.code, why in done.err) == (1, True)


def test_of_several_client_certificates_the_first_is_shown(
    case: Case, careful_front: Nginx, certificates: Certificates
) -> None:
    client, other = certificates.client, certificates.self_signed
    pairs = {"a_cert": client.cert, "a_key": client.key, "b_cert": other.cert, "b_key": other.key}
    folder = case.certs_d(careful_front.host, ca_crt=certificates.ca, **pairs)
    told = case.works(careful_front.host)
    assert f"trust: of 2 client certificates in `{folder}` `a.cert` is shown" in told


@pytest.mark.parametrize(("half", "other"), [("cert", "key"), ("key", "cert")])
def test_half_of_a_pair_is_told(
    half: str, other: str, case: Case, front: Nginx, certificates: Certificates
) -> None:
    folder = case.certs_d(front.host, **{f"me_{half}": getattr(certificates.client, half)})
    why = f"`{folder}` holds `me.{half}` but no `me.{other}`"
    assert "--cert-dir" in case.fails(why, front.host)
    done = case.push(front.host, "--cert-dir", folder)
    assert done.code == 1
    assert why in done.err


# -- what docker and podman call insecure


@pytest.mark.parametrize("kind", ["self_signed", "expired", "wrong_host"])
def test_podmans_insecure_registries_take_any_certificate(
    kind: str, case: Case, distribution: Distribution, certificates: Certificates
) -> None:
    with Nginx(distribution.url, tls=getattr(certificates, kind), program=need("nginx")) as front:
        assert not case.skopeo_pushes(front.host)
        text = f'[[registry]]\nlocation = "{front.host}"\ninsecure = true\n'
        path = case.write(f"{CONFIG}/registries.conf", text)
        told = case.works(front.host)
        assert f"{front.host} counts as `--insecure`, by `{path}`" in told
        assert case.skopeo_pushes(front.host)
        path.unlink()
        named = case.write("elsewhere.conf", text)
        assert str(named) in case.works(front.host, CONTAINERS_REGISTRIES_CONF=str(named))
        case.write(f"{CONFIG}/registries.conf.d/own.conf", text)
        case.works(front.host)
        assert case.skopeo_pushes(front.host)


HOST = '[[registry]]\nlocation = "HOST"\n'
FORMS = {
    "location": (f"{HOST}insecure = true", True),
    "without its port": ('[[registry]]\nlocation = "127.0.0.1"\ninsecure = true', True),
    "another port": ('[[registry]]\nlocation = "127.0.0.1:1"\ninsecure = true', False),
    "repository": ('[[registry]]\nlocation = "HOST/trust"\ninsecure = true', True),
    "other repository": ('[[registry]]\nlocation = "HOST/tru"\ninsecure = true', False),
    "wildcard": ('[[registry]]\nprefix = "*.0.0.1"\ninsecure = true', True),
    "wildcard with a port": ('[[registry]]\nprefix = "*.0.0.1:1"\ninsecure = true', False),
    "more specific": (
        f'[[registry]]\nprefix = "*.0.0.1"\ninsecure = true\n{HOST}',
        False,
    ),
    "behind a prefix": (
        '[[registry]]\nprefix = "a.test"\nlocation = "HOST"\ninsecure = true',
        False,
    ),
    "prefix alone": ('[[registry]]\nprefix = "HOST"\ninsecure = true', False),
    "with a scheme": ('[[registry]]\nlocation = "https://HOST"\ninsecure = true', False),
    "both": (f"{HOST}insecure = true\n{HOST}insecure = false", False),
    "mirror": (
        f'{HOST}[[registry.mirror]]\nlocation = "a.test"\ninsecure = true',
        False,
    ),
    "older": ('[registries.insecure]\nregistries = ["HOST"]', True),
    "broken": ('[[registry]\nlocation = "HOST"\ninsecure = true', False),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_registries_conf_means_what_skopeo_takes_it_for(
    form: str, case: Case, front: Nginx
) -> None:
    text, insecure = FORMS[form]
    case.write(f"{CONFIG}/registries.conf", text.replace("HOST", front.host))
    assert case.skopeo_pushes(front.host) == insecure
    assert (case.push(front.host).code == 0) == insecure


def test_an_insecure_repository_is_no_other(case: Case, front: Nginx) -> None:
    text = f'[[registry]]\nprefix = "{front.host}/trust"\nlocation = "x.test"\ninsecure = true\n'
    case.write(f"{CONFIG}/registries.conf", text)
    case.works(front.host)
    done = case.command(
        case.layout.path, "--to", f"{front.host}/trust/app:v1", "--to", f"{front.host}/other:v1"
    )
    assert done.code == 3
    assert done.out == f"Image pushed: {front.host}/trust/app:v1\n"
    assert "unknown authority" in done.err


@pytest.mark.parametrize("entry", ["HOST", "127.0.0.0/8", "https://HOST"])
@pytest.mark.parametrize("place", [".config/docker/daemon.json", ".docker/daemon.json"])
def test_dockers_insecure_registries_take_any_certificate(
    entry: str, place: str, case: Case, front: Nginx
) -> None:
    named = entry.replace("HOST", front.host)
    path = case.write(place, f'{{"insecure-registries": ["{named}"]}}')
    assert f"counts as `--insecure`, by `{path}`" in case.works(front.host)
    if "/8" in named:
        case.works(f"localhost:{front.port}")
    else:
        case.fails("unknown authority", f"localhost:{front.port}")


def test_plain_http_away_from_this_machine_takes_an_insecure_registry(
    case: Case, htpasswd_distribution: Distribution
) -> None:
    host = f"{ANY_ADDRESS}:{htpasswd_distribution.port}"
    user = ("--username", USER, "--password", PASSWORD)
    hint = case.fails("the other side does not speak TLS", host, *user)
    assert "--insecure" in hint
    case.write(f"{CONFIG}/registries.conf", f'[[registry]]\nlocation = "{host}"\ninsecure = true\n')
    told = case.works(host, *user)
    assert "going on over plain HTTP" in told


@pytest.mark.parametrize(
    ("place", "content"),
    [
        (f"{CONFIG}/registries.conf", "[[registry]\ninsecure = true"),
        (f"{CONFIG}/registries.conf", "registry = 'insecure'"),
        (f"{CONFIG}/registries.conf", "# insecure\n" * 200_000),
        (".docker/daemon.json", "{"),
        (".docker/daemon.json", '{"insecure-registries": {"a": true}}'),
        (".docker/daemon.json", " " * 2_000_000),
    ],
    ids=["broken", "other types", "huge", "broken json", "json of other types", "huge json"],
)
def test_settings_that_cannot_be_used_are_noted_and_make_nothing_insecure(
    place: str, content: str, case: Case, front: Nginx, certificates: Certificates
) -> None:
    path = case.write(place, content)
    told = case.works(front.host, SSL_CERT_FILE=str(certificates.ca))
    assert f"Warning: `{path}` counts as empty: " in told
    case.fails("unknown authority", front.host)


@pytest.mark.parametrize(
    ("place", "content"),
    [
        (f"{CONFIG}/registries.conf", '[[registry]]\nlocation = "HOST"\ninsecure = true'),
        (".docker/daemon.json", '{"insecure-registries": ["HOST"]}'),
    ],
)
def test_settings_that_others_may_write_make_nothing_insecure(
    place: str, content: str, case: Case, front: Nginx
) -> None:
    path = case.write(place, content.replace("HOST", front.host))
    case.works(front.host)
    path.chmod(0o664)
    done = case.push(front.host)
    assert done.code == 3
    assert f"Warning: `{path}` counts as empty: its mode 0664 lets others write to it" in done.err
