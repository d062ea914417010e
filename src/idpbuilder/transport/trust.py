"""The certificates that a TLS connection believes, and the one that it shows."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from idpbuilder.wire import Trust

SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Alpine
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Red Hat, Fedora
    "/etc/pki/tls/certs/ca-bundle.crt",  # older Red Hat, Amazon Linux
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # macOS, older Alpine
)


class TrustUnusable(Exception):
    """Certificates that were named cannot be used; the text says which, and why."""


@dataclass(frozen=True, slots=True)
class Certificates:
    """The CAs as a file and a hashed folder, or together in `ca_data`; the client's own pair."""

    ca_file: str | None = None
    ca_dir: str | None = None
    ca_data: bytes | None = None
    client_cert: str | None = None
    client_key: str | None = None


def find_certificates(
    trust: Trust, environ: Mapping[str, str], bundles: Sequence[str] = SYSTEM_BUNDLES
) -> Certificates:
    """What `trust` means on this machine.

    `SSL_CERT_FILE` and `SSL_CERT_DIR` come before the system's bundle. Raises TrustUnusable.
    """
    ca_file, ca_dir, ca_data = None, None, None
    if trust.verify and trust.only is not None:
        _read(trust.only)
        ca_file = trust.only
    elif trust.verify:
        ca_file, ca_dir = _bundle(environ, bundles), environ.get("SSL_CERT_DIR") or None
    if trust.cert_dir is None:
        return Certificates(ca_file, ca_dir, None, *(trust.client or (None, None)))
    names = _names(trust.cert_dir)
    cert, key = _client_pair(trust.cert_dir, names)
    extra = [name for name in names if name.endswith(".crt")]
    if trust.verify and extra:
        paths = [*filter(None, [ca_file]), *(os.path.join(trust.cert_dir, name) for name in extra)]
        ca_file, ca_data = None, b"\n".join(_read(path) for path in paths)
    return Certificates(ca_file, ca_dir, ca_data, cert, key)


def _bundle(environ: Mapping[str, str], bundles: Sequence[str]) -> str:
    named = environ.get("SSL_CERT_FILE")
    if named:
        _read(named)
        return named
    for path in bundles:
        if os.path.isfile(path):
            return path
    import certifi

    return certifi.where()


def check_folder(folder: str) -> None:
    """Raise TrustUnusable where `Trust.cert_dir` cannot be this folder."""
    names = _names(folder)
    _client_pair(folder, names)
    for name in names:
        if name.endswith(".crt"):
            _read(os.path.join(folder, name))


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        raise TrustUnusable(f"`{folder}` cannot be read: {error.strerror}") from error


def _client_pair(folder: str, names: list[str]) -> tuple[str | None, str | None]:
    """The first `NAME.cert` and its `NAME.key`, as Docker reads such a folder."""
    for name in names:
        stem, ending = os.path.splitext(name)
        if ending == ".cert":
            if f"{stem}.key" not in names:
                raise TrustUnusable(f"`{folder}` holds `{name}` but no `{stem}.key`")
            return os.path.join(folder, name), os.path.join(folder, f"{stem}.key")
    return None, None


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise TrustUnusable(f"`{path}` cannot be read: {error.strerror}") from error
