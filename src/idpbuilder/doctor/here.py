"""What this machine has: the program, its room, the authorities it trusts, its proxies."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from idpbuilder import __version__
from idpbuilder.doctor.finding import Facts, Finding, failure, ok, warning
from idpbuilder.doctor.units import size_text
from idpbuilder.errors import LocalError, Unreachable
from idpbuilder.memory import memory_path
from idpbuilder.native import COMPILED
from idpbuilder.transport.libcurl import curl_version
from idpbuilder.transport.proxy import ProxyUnusable, proxy_for
from idpbuilder.transport.trust import (
    SYSTEM_BUNDLES,
    TrustUnusable,
    certs_d,
    complaints,
    find_certificates,
)
from idpbuilder.wire import Trust

SCARCE = 1024 * 1024 * 1024
"""Bytes of room for temporary files below which a layer of an ordinary image may not fit."""
_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")
_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"
_ANYWHERE = "registry.invalid"


def of_this_machine(environ: Mapping[str, str]) -> Iterator[Finding]:
    """All that can be seen without asking anyone."""
    yield program()
    yield cache(environ)
    yield temporary_files(environ)
    yield from authorities(environ)
    yield from proxies(environ)


def program(*, compiled: bool = COMPILED) -> Finding:
    """The versions of the program and of what it stands on."""
    python = ".".join(map(str, sys.version_info[:3]))
    kernels = "compiled" if compiled else "pure"
    detail = (
        f"idpbuilder-push {__version__} with {kernels} kernels, Python {python}, {curl_version()}"
    )
    facts: Facts = {
        "version": __version__,
        "kernels": kernels,
        "python": python,
        "libcurl": curl_version().partition("/")[2],
    }
    if compiled:
        return ok("program", detail, facts)
    hint = "pushes are slower: install a wheel, or build it with a C compiler"
    return warning("program", detail, hint, facts)


def cache(environ: Mapping[str, str], platform: str = sys.platform) -> Finding:
    """Where earlier pushes are remembered, and how much of them."""
    path = memory_path(environ, platform)
    if path is None:
        why = "there is no place for it: neither XDG_CACHE_HOME nor HOME is an absolute path"
        hint = "set HOME, or set XDG_CACHE_HOME to a folder of yours"
        return warning("cache", f"{why}; every push packs its layers anew", hint)
    folder = os.path.dirname(path)
    # the database, and what SQLite keeps beside it
    files = Path(folder).glob(f"{os.path.basename(path)}*") if os.path.isdir(folder) else ()
    size = sum(file.lstat().st_size for file in files)
    facts: Facts = {"path": path, "bytes": size}
    if not os.access(_nearest(folder), os.W_OK | os.X_OK):
        hint = f"make `{folder}` a folder of yours, or name another one with XDG_CACHE_HOME"
        return warning("cache", f"`{path}` cannot be written", hint, facts)
    return ok("cache", f"{path} ({size_text(size) if size else 'nothing yet'})", facts)


def temporary_files(environ: Mapping[str, str], scarce: int = SCARCE) -> Finding:
    """The room for what has to lie in a file: packed layers, exports, unpacked archives."""
    import tempfile

    try:
        folder = tempfile.gettempdir()
        free = shutil.disk_usage(folder).free
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        return failure(
            "TMPDIR",
            LocalError(
                "there is no place for temporary files",
                reason,
                "point TMPDIR at a directory that can be written",
            ),
        )
    facts: Facts = {"path": folder, "bytes": free}
    detail = f"{folder} ({size_text(free)} free)"
    named = environ.get("TMPDIR")
    if named and os.path.realpath(named) != os.path.realpath(folder):
        hint = "point TMPDIR at a directory that can be written"
        return warning("TMPDIR", f"`{named}` cannot be written: {detail} is used", hint, facts)
    if free < scarce:
        hint = "make room, or point TMPDIR at a larger disk"
        return warning("TMPDIR", f"{detail}: large layers may not fit", hint, facts)
    return ok("TMPDIR", detail, facts)


def authorities(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Whom TLS connections believe, and where registries have folders of their own."""
    try:
        found = find_certificates(Trust(), environ)
        data = found.ca_data or Path(found.ca_file or os.devnull).read_bytes()
    except (TrustUnusable, OSError) as why:
        hint = "check SSL_CERT_FILE and SSL_CERT_DIR, or unset them"
        yield failure("CA certificates", Unreachable("none can be used", str(why), hint))
        return
    count = data.count(_CERTIFICATE)
    named = [name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if environ.get(name)]
    sources = [f"{name}={environ[name]}" for name in named]
    if len(named) < 2:
        bundle = found.ca_file or next(filter(os.path.isfile, SYSTEM_BUNDLES), "certifi's bundle")
        sources.insert(0, bundle)
    facts: Facts = {"count": count, "sources": tuple(sources)}
    yield ok("CA certificates", f"{count}, from {' and '.join(sources)}", facts)
    for text in complaints(environ):
        hint = "name what holds certificates in PEM form, or unset the variable"
        yield warning("CA certificates", text, hint)
    for place in certs_d(environ):
        if names := _names(place):
            folders: Facts = {"path": place, "registries": tuple(names)}
            yield ok("certs.d", f"{place} ({', '.join(names)})", folders)


def proxies(environ: Mapping[str, str]) -> Iterator[Finding]:
    """The proxies of the environment, without what signs in to them."""
    names = [name for wanted in _PROXIES for name in (wanted, wanted.lower())]
    found = {name: _without_login(name, environ[name]) for name in names if environ.get(name)}
    if not found:
        yield ok("proxy", "no variable names one", {})
        return
    shown = ", ".join(f"{name}={text}" for name, text in found.items())
    yield ok("proxy", shown, found)
    open_to_all = {k: v for k, v in environ.items() if k.upper() != "NO_PROXY"}
    said = set()
    for scheme in ("https", "http"):
        try:
            proxy_for(f"{scheme}://{_ANYWHERE}/", open_to_all)
        except ProxyUnusable as error:
            said.add(str(error))
    for text in sorted(said):
        yield warning("proxy", text, "write it as `http://USER:PASSWORD@HOST:PORT`")


def _without_login(name: str, text: str) -> str:
    if name.upper() == "NO_PROXY":
        return text
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "", text
    # a password may hold what else would end the host
    login, at, place = rest.rpartition("@")
    place = re.split("[/?#]", place)[0]
    host, colon, port = place.rpartition(":")
    if colon and not at and not port.isdigit() and not port.endswith("]"):
        # somebody forgot the host
        host, port = "***", "***"
    return f"{scheme}{separator}{'***' if login else ''}{at}{host}{colon}{port}"


def _names(folder: str) -> list[str]:
    """The folders in a folder; none where it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir())
    except OSError:
        return []


def _nearest(folder: str) -> str:
    """`folder`, or what is there on the way to it."""
    while not os.path.exists(folder):
        folder = os.path.dirname(folder)
    return folder
