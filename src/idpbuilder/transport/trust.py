"""The certificates that a TLS connection believes, and the one that it shows."""

from __future__ import annotations

import base64
import os
import pwd
import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from idpbuilder.wire import Trust

SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Alpine
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Red Hat, Fedora
    "/etc/pki/tls/certs/ca-bundle.crt",  # older Red Hat, Amazon Linux
    "/var/lib/ca-certificates/ca-bundle.pem",  # SUSE
    "/etc/ssl/ca-bundle.pem",  # older SUSE
    "/etc/ssl/cert.pem",  # macOS, older Alpine
)
SYSTEM_FOLDERS = ("/etc/ssl/certs", "/etc/pki/tls/certs")
"""What was put there by hand counts beside the bundle, as to docker and podman."""
LIMIT = 16 * 1024 * 1024
"""Bytes of the largest file that is read."""
# links of the tools that make the bundle: what they lead to is in it
_BUNDLED = ("ca-certificates", "ca-trust")
_PEM = re.compile(rb"-----BEGIN ((?:TRUSTED |X509 )?CERTIFICATE)-----([^-]*)-----END \1-----")
_SEQUENCE = 0x30


class TrustUnusable(Exception):
    """Certificates that were named cannot be used; the text says which, and why."""


@dataclass(frozen=True, slots=True)
class Certificates:
    """The CAs as a file or in `ca_data`; the client's own pair."""

    ca_file: str | None = None
    ca_data: bytes | None = None
    client_cert: str | None = None
    client_key: str | None = None


def find_certificates(
    trust: Trust,
    environ: Mapping[str, str],
    bundles: Sequence[str] = SYSTEM_BUNDLES,
    folders: Sequence[str] = SYSTEM_FOLDERS,
) -> Certificates:
    """What `trust` means on this machine. Raises TrustUnusable."""
    (cert, key), own = trust.client or (None, None), b""
    if trust.cert_dir is not None:
        names = _names(trust.cert_dir)
        cert, key = _client_pair(trust.cert_dir, names)
        # what holds no certificate counts for nothing, as to docker and podman
        own = b"".join(_authorities(trust.cert_dir, names))
    if not trust.verify:
        return Certificates(client_cert=cert, client_key=key)
    if trust.only is not None:
        bundle, beside = None, _pem(trust.only)
    else:
        bundle, beside = _system(environ, bundles, folders)
    if not own and not beside:
        return Certificates(bundle, None, cert, key)
    data = _read(bundle) if bundle else b""
    return Certificates(None, b"\n".join((data, beside, own)), cert, key)


def _system(
    environ: Mapping[str, str], bundles: Sequence[str], folders: Sequence[str]
) -> tuple[str | None, bytes]:
    """The system's bundle, and the certificates that count beside it.

    As in Go, and so for docker and podman: `SSL_CERT_FILE` takes the place of the bundle and
    `SSL_CERT_DIR` that of the folders; the one alone leaves what the other would replace, and
    everywhere the folders hold what the bundle holds.
    """
    named = b"".join((_in_file(environ), *_in_folders(environ)))
    if environ.get("SSL_CERT_FILE") and environ.get("SSL_CERT_DIR"):
        if not named:
            why = "they hold no certificate in PEM form"
            raise TrustUnusable(f"`SSL_CERT_FILE` and `SSL_CERT_DIR` cannot be used: {why}")
        return None, named
    bundle = next(filter(_is_something, bundles), None)
    if not environ.get("SSL_CERT_DIR"):
        named += b"".join(_by_hand(folders, {*bundles}))
    if bundle is None and not named:
        import certifi

        bundle = certifi.where()
    return bundle, named


def complaints(environ: Mapping[str, str]) -> Iterator[str]:
    """What `SSL_CERT_FILE` and `SSL_CERT_DIR` name that cannot be used."""
    named = environ.get("SSL_CERT_FILE")
    if named:
        try:
            _pem(named)
        except TrustUnusable as error:
            yield f"SSL_CERT_FILE counts for nothing: {error}"
    folders = environ.get("SSL_CERT_DIR")
    if folders and not any(_in_folders(environ)):
        yield f"SSL_CERT_DIR counts for nothing: no certificate in PEM form is in `{folders}`"


def _in_file(environ: Mapping[str, str]) -> bytes:
    named = environ.get("SSL_CERT_FILE")
    try:
        return _pem(named) if named else b""
    except TrustUnusable:
        return b""


def _in_folders(environ: Mapping[str, str]) -> Iterator[bytes]:
    for folder in environ.get("SSL_CERT_DIR", "").split(":"):
        yield from _files(folder) if folder else ()


def _by_hand(folders: Sequence[str], bundles: set[str]) -> Iterator[bytes]:
    """What lies in the system's folders and is in no bundle."""
    seen: set[str] = set()
    for folder in folders:
        real = os.path.realpath(folder)
        if real not in seen and not any(sign in real for sign in _BUNDLED):
            seen.add(real)
            yield from _files(folder, bundles)


def _files(folder: str, without: set[str] | None = None) -> Iterator[bytes]:
    """The certificates in the files of a folder; with `without`, of none that a bundle has."""
    try:
        with os.scandir(folder) as entries:
            found = [entry.path for entry in entries if _is_wanted(entry, without)]
    except OSError:
        return
    for path in sorted(found):
        try:
            yield _certificates(_read(path))
        except TrustUnusable:
            continue


def _is_wanted(entry: os.DirEntry[str], without: set[str] | None) -> bool:
    if without is not None and entry.path in without:
        return False
    if not entry.is_symlink():
        return entry.is_file()
    target = os.readlink(entry.path)
    # what OpenSSL calls by a hash is in the folder under its name, too
    bundled = without is not None and any(sign in target for sign in _BUNDLED)
    return "/" in target and not bundled


def check_folder(folder: str) -> None:
    """Raise TrustUnusable where `Trust.cert_dir` cannot be this folder."""
    names = _names(folder)
    _client_pair(folder, names)
    for name in names:
        if name.endswith(".crt"):
            _pem(os.path.join(folder, name))


def _authorities(folder: str, names: Sequence[str]) -> Iterator[bytes]:
    for name in names:
        path = os.path.join(folder, name)
        if name.endswith(".crt"):
            try:
                yield _certificates(_read(path))
            except TrustUnusable:
                # told already, by `folder_for` or `check_folder`
                continue


def certs_d(environ: Mapping[str, str]) -> list[str]:
    """The folders that may hold a folder for a registry: podman's, docker's, rootless docker's,
    Docker Desktop's.
    """
    own = own_settings(environ)
    return [
        *(os.path.join(folder, "containers/certs.d") for folder in own),
        "/etc/containers/certs.d",
        "/etc/docker/certs.d",
        *(os.path.join(folder, "docker/certs.d") for folder in own),
        *(os.path.join(home, ".docker/certs.d") for home in home_of(environ)),
    ]


def own_settings(environ: Mapping[str, str]) -> list[str]:
    """Where this user's settings are, if anywhere."""
    folders = [environ.get("XDG_CONFIG_HOME", "")]
    folders += [os.path.join(home, ".config") for home in home_of(environ)]
    return [folder for folder in folders if os.path.isabs(folder)]


def home_of(environ: Mapping[str, str]) -> list[str]:
    """The user's home, if there is one: where HOME is unset, what the system says, as to docker."""
    if home := environ.get("HOME"):
        return [home]
    try:
        return [pwd.getpwuid(os.getuid()).pw_dir]
    except KeyError:
        return []


def folder_for(
    registry: str,
    places: Sequence[str],
    note: Callable[[str], None],
    warn: Callable[[str], None],
) -> str | None:
    """The first of the `places` that has a folder called `registry`, which is `host[:port]`.

    For `Trust.cert_dir`. `note` is told what was found, and what had to be passed over; `warn` what
    in it is no certificate.
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
        if not any(name.endswith((".crt", ".cert", ".key")) for name in names):
            note(f"trust: `{folder}` is passed over: no `.crt`, `.cert` or `.key` is in it")
            continue
        note(f"trust: certificates for {registry} are taken from `{folder}`")
        for name in names:
            _warn_if_empty(os.path.join(folder, name), warn)
        pairs = [name for name in names if name.endswith(".cert")]
        if len(pairs) > 1:
            note(f"trust: of {len(pairs)} client certificates in `{folder}` `{pairs[0]}` is shown")
        return folder
    return None


def _warn_if_empty(path: str, warn: Callable[[str], None]) -> None:
    if path.endswith(".crt"):
        try:
            _pem(path)
        except TrustUnusable as error:
            warn(f"a CA counts for nothing: {error}")


def _is_something(path: str) -> bool:
    return os.path.isfile(path) and os.path.getsize(path) > 0 and os.access(path, os.R_OK)


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
    if not pairs:
        return None, None
    cert, key = pairs[0]
    _pem(cert)
    secret = _read(key)
    if b" PRIVATE KEY-----" not in secret:
        raise TrustUnusable(f"`{key}` cannot be read: it holds no private key in PEM form")
    if b"ENCRYPTED" in secret:
        raise TrustUnusable(f"`{key}` cannot be read: it has a passphrase, and nobody is asked")
    return cert, key


def _pem(path: str) -> bytes:
    data = _certificates(_read(path))
    if not data:
        raise TrustUnusable(f"`{path}` cannot be read: it holds no certificate in PEM form")
    return data


def _certificates(data: bytes) -> bytes:
    """The certificates in a PEM file, each that is whole: OpenSSL takes none where one is not."""
    return b"".join(b"%b\n" % found[0] for found in _PEM.finditer(data) if _is_whole(found[2]))


def _is_whole(text: bytes) -> bool:
    """Whether this is base64 of one SEQUENCE that begins with another (RFC 5280, 4.1)."""
    try:
        der = base64.b64decode(b"".join(text.split()), validate=True)
    except ValueError:
        return False
    start, size = 2, der[1] if len(der) > 1 else 0
    if size & 0x80:
        start += size & 0x7F
        size = int.from_bytes(der[2:start], "big")
    return len(der) >= start + size > start and der[0] == _SEQUENCE and der[start] == _SEQUENCE


def _read(path: str) -> bytes:
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise TrustUnusable(f"`{path}` cannot be read: it is no regular file")
            data = file.read(LIMIT + 1)
    except OSError as error:
        raise TrustUnusable(f"`{path}` cannot be read: {error.strerror}") from error
    if len(data) > LIMIT:
        raise TrustUnusable(f"`{path}` cannot be read: it is larger than {LIMIT} bytes")
    return data


def _without_waiting(path: str, flags: int) -> int:
    # the opening of a pipe waits for somebody to write
    return os.open(path, flags | os.O_NONBLOCK)
