"""The certificates that a TLS connection believes, and the one that it shows."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from idpbuilder.wire import Trust

SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Alpine
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Red Hat, Fedora
    "/etc/pki/tls/certs/ca-bundle.crt",  # older Red Hat, Amazon Linux
    "/var/lib/ca-certificates/ca-bundle.pem",  # SUSE
    "/etc/ssl/ca-bundle.pem",  # older SUSE
    "/etc/ssl/cert.pem",  # macOS, older Alpine
)
_PEM_MARKS = (b"-----BEGIN CERTIFICATE-----", b"-----BEGIN TRUSTED CERTIFICATE-----")


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
        _pem(trust.only)
        ca_file = trust.only
    elif trust.verify:
        ca_file, ca_dir = _bundle(environ, bundles), environ.get("SSL_CERT_DIR") or None
    if trust.cert_dir is None:
        return Certificates(ca_file, ca_dir, None, *(trust.client or (None, None)))
    names = _names(trust.cert_dir)
    cert, key = _client_pair(trust.cert_dir, names)
    extra = [_read(os.path.join(trust.cert_dir, name)) for name in names if name.endswith(".crt")]
    # what holds no certificate counts for nothing, as to docker and podman
    extra = [data for data in extra if _is_pem(data)]
    if trust.verify and extra:
        system = [_read(ca_file)] if ca_file else []
        ca_file, ca_data = None, b"\n".join([*system, *extra])
    return Certificates(ca_file, ca_dir, ca_data, cert, key)


def check_folder(folder: str) -> None:
    """Raise TrustUnusable where `Trust.cert_dir` cannot be this folder."""
    names = _names(folder)
    _client_pair(folder, names)
    for name in names:
        if name.endswith(".crt"):
            _pem(os.path.join(folder, name))


def certs_d(environ: Mapping[str, str]) -> list[str]:
    """The folders that may hold a folder for a registry: podman's, docker's, rootless docker's."""
    own = own_settings(environ)
    return [
        *(os.path.join(folder, "containers/certs.d") for folder in own),
        "/etc/containers/certs.d",
        "/etc/docker/certs.d",
        *(os.path.join(folder, "docker/certs.d") for folder in own),
    ]


def own_settings(environ: Mapping[str, str]) -> list[str]:
    """Where this user's settings are, if anywhere."""
    home = environ.get("HOME")
    folders = (environ.get("XDG_CONFIG_HOME"), os.path.join(home, ".config") if home else None)
    return [folder for folder in folders if folder and os.path.isabs(folder)]


def folder_for(registry: str, places: Sequence[str], note: Callable[[str], None]) -> str | None:
    """The first of the `places` that has a folder called `registry`, which is `host[:port]`.

    For `Trust.cert_dir`. `note` is told what was found, and what had to be passed over.
    """
    for place in places:
        folder = os.path.join(place, registry)
        try:
            names = sorted(os.listdir(folder))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            note(f"trust: `{folder}` is passed over: {error.strerror}")
            continue
        note(f"trust: certificates for {registry} are taken from `{folder}`")
        for name in names:
            _note_if_empty(os.path.join(folder, name), note)
        return folder
    return None


def _note_if_empty(path: str, note: Callable[[str], None]) -> None:
    if path.endswith(".crt"):
        try:
            _pem(path)
        except TrustUnusable as error:
            note(f"trust: {error}")


def _bundle(environ: Mapping[str, str], bundles: Sequence[str]) -> str:
    named = environ.get("SSL_CERT_FILE")
    if named:
        _pem(named)
        return named
    for path in bundles:
        if os.path.isfile(path):
            return path
    import certifi

    return certifi.where()


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        raise TrustUnusable(f"`{folder}` cannot be read: {error.strerror}") from error


def _client_pair(folder: str, names: list[str]) -> tuple[str | None, str | None]:
    """The first `NAME.cert` and its `NAME.key`: libcurl shows one, where docker offers all.

    Half of a pair is an error even so, as to docker and podman: a slip that would show only as a
    server's refusal.
    """
    halves = {".cert": ".key", ".key": ".cert"}
    pairs = []
    for name in names:
        stem, ending = os.path.splitext(name)
        if ending in halves and f"{stem}{halves[ending]}" not in names:
            raise TrustUnusable(f"`{folder}` holds `{name}` but no `{stem}{halves[ending]}`")
        if ending == ".cert":
            pairs.append((os.path.join(folder, name), os.path.join(folder, f"{stem}.key")))
    for path in pairs[0] if pairs else ():
        _read(path)
    return pairs[0] if pairs else (None, None)


def _pem(path: str) -> bytes:
    data = _read(path)
    if not _is_pem(data):
        raise TrustUnusable(f"`{path}` cannot be read: it holds no certificate in PEM form")
    return data


def _is_pem(data: bytes) -> bool:
    return any(mark in data for mark in _PEM_MARKS)


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise TrustUnusable(f"`{path}` cannot be read: {error.strerror}") from error
