"""Certificates for loopback, made with the `openssl` command while the tests run."""

from __future__ import annotations

import base64
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

REGISTRY_NAME = "registry.test"
"""A name that only a proxy of the tests knows: it is this machine too."""
ANY_ADDRESS = "0.0.0.0"
"""Leads to this machine, and does not count as it: what goes there goes by way of a proxy."""
LOOPBACK = f"subjectAltName=IP:127.0.0.1,IP:::1,DNS:localhost,DNS:{REGISTRY_NAME},IP:{ANY_ADDRESS}"
ELSEWHERE = "subjectAltName=DNS:elsewhere.test"
_AUTHORITY = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key, PEM files."""

    cert: Path
    key: Path

    def server_context(self, client_ca: Path | None = None) -> ssl.SSLContext:
        """For a server that shows this certificate, and with `client_ca` demands one of its own."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        if client_ca is not None:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


@dataclass(frozen=True, slots=True)
class Certificates:
    """One CA, and what it signed; `self_signed` nobody vouches for.

    An authority between signed `chain`, which brings that one's certificate along, and `unchained`,
    which does not.
    """

    ca: Path
    server: KeyPair
    expired: KeyPair
    not_yet_valid: KeyPair
    wrong_host: KeyPair
    self_signed: KeyPair
    client: KeyPair
    chain: KeyPair
    unchained: KeyPair

    def client_context(self) -> ssl.SSLContext:
        """For a client that trusts the CA and nothing else."""
        return ssl.create_default_context(cafile=str(self.ca))


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An RSA key and its certificate, with which a token service signs."""

    pair: KeyPair

    @classmethod
    def make(cls, folder: Path) -> SigningKey:
        """A new key in `folder`."""
        pair = KeyPair(folder / "tokens.crt", folder / "tokens.key")
        _self_sign(pair, "/CN=token service", "rsa:2048")
        return cls(pair)

    @property
    def x5c(self) -> str:
        """The certificate as a JSON Web Signature header carries it (RFC 7515, 4.1.6)."""
        return base64.b64encode(ssl.PEM_cert_to_DER_cert(self.pair.cert.read_text())).decode()

    def sign(self, data: bytes) -> bytes:
        """The RS256 signature of `data`."""
        return _openssl("dgst", "-sha256", "-sign", str(self.pair.key), stdin=data)


def make_certificates(folder: Path) -> Certificates:
    """All of them, in `folder`."""
    ca = KeyPair(folder / "ca.crt", folder / "ca.key")
    # strict verifiers, Python's own since 3.13, want to see both
    marks = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign")
    _self_sign(ca, "/CN=idpbuilder test CA", "ec", *marks)
    self_signed = KeyPair(folder / "self-signed.crt", folder / "self-signed.key")
    _self_sign(self_signed, "/CN=localhost", "ec", LOOPBACK)
    between = _signed(ca, "between", _AUTHORITY, "serverAuth")
    unchained = _signed(between, "unchained", LOOPBACK, "serverAuth")
    chain = KeyPair(folder / "chain.crt", unchained.key)
    chain.cert.write_bytes(unchained.cert.read_bytes() + between.cert.read_bytes())
    return Certificates(
        ca=ca.cert,
        server=_signed(ca, "server", LOOPBACK, "serverAuth"),
        expired=_signed(ca, "expired", LOOPBACK, "serverAuth", days=-1),
        not_yet_valid=_signed_for_later(ca, "not-yet-valid", LOOPBACK),
        wrong_host=_signed(ca, "wrong-host", ELSEWHERE, "serverAuth"),
        self_signed=self_signed,
        client=_signed(ca, "client", "subjectAltName=DNS:client.test", "clientAuth"),
        chain=chain,
        unchained=unchained,
    )


def _signed(ca: KeyPair, name: str, names: str, usage: str, days: int = 30) -> KeyPair:
    pair = KeyPair(ca.cert.with_name(f"{name}.crt"), ca.cert.with_name(f"{name}.key"))
    request = _openssl("req", "-new", *_new_key(pair, "ec"), "-subj", f"/CN={name}")
    extensions = ca.cert.with_name(f"{name}.ext")
    extensions.write_text(f"{names}\nextendedKeyUsage={usage}\nauthorityKeyIdentifier=keyid\n")
    _openssl(
        *("x509", "-req", "-CA", str(ca.cert), "-CAkey", str(ca.key), "-CAcreateserial"),
        *("-days", str(days), "-extfile", str(extensions), "-out", str(pair.cert)),
        stdin=request,
    )
    return pair


def _signed_for_later(ca: KeyPair, name: str, names: str) -> KeyPair:
    """A server's certificate for a time that no test will see; `openssl x509` only knows today."""
    folder = ca.cert.with_name(f"{name}.d")
    folder.mkdir()
    (folder / "index").touch()
    (folder / "serial").write_text("01\n")
    config = folder / "config"
    config.write_text(
        f"[ca]\ndefault_ca=own\n[own]\ndatabase={folder}/index\nserial={folder}/serial\nnew_certs_dir={folder}\n"
        f"default_md=sha256\npolicy=any\n[any]\ncommonName=supplied\n"
        f"[server]\n{names}\nextendedKeyUsage=serverAuth\nauthorityKeyIdentifier=keyid\n"
    )
    pair = KeyPair(ca.cert.with_name(f"{name}.crt"), ca.cert.with_name(f"{name}.key"))
    request = folder / "request"
    _openssl("req", "-new", *_new_key(pair, "ec"), "-subj", f"/CN={name}", "-out", str(request))
    _openssl(
        *("ca", "-batch", "-notext", "-config", str(config)),
        *("-cert", str(ca.cert), "-keyfile", str(ca.key), "-extensions", "server"),
        *("-startdate", "20990101000000Z", "-enddate", "20991231000000Z"),
        *("-in", str(request), "-out", str(pair.cert)),
    )
    return pair


def _self_sign(pair: KeyPair, subject: str, algorithm: str, *extensions: str) -> None:
    added = [word for extension in extensions for word in ("-addext", extension)]
    _openssl(
        *("req", "-x509", *_new_key(pair, algorithm), "-days", "30", "-subj", subject),
        *(*added, "-out", str(pair.cert)),
    )


def _new_key(pair: KeyPair, algorithm: str) -> tuple[str, ...]:
    curve = ("-pkeyopt", "ec_paramgen_curve:P-256") if algorithm == "ec" else ()
    return ("-newkey", algorithm, *curve, "-nodes", "-keyout", str(pair.key))


def _openssl(*arguments: str, stdin: bytes = b"") -> bytes:
    done = subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"openssl {arguments[0]} failed: {done.stderr.decode()}")
    return done.stdout
