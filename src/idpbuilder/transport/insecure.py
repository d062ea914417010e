"""The registries that podman's and docker's settings call insecure: there `--insecure` counts as
given. A file that cannot be used is told, and counts as empty.
"""

from __future__ import annotations

import ipaddress
import json
import os
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

from idpbuilder.image.reference import is_docker_hub, split_host_port
from idpbuilder.transport.trust import home_of, own_settings

Tell = Callable[[str], None]
LIMIT = 1024 * 1024
"""Bytes of the largest file that is read."""
_SYSTEM = "/etc"
_SIGN = b"insecure"
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_RESOLVE_SECONDS = 5.0


class _Unusable(Exception):
    """Why a file counts as empty."""


def addresses_of(host: str) -> list[str]:
    """The addresses of a name; none where it has none, or where that takes too long to say."""
    import socket

    found: list[str] = []

    def look_up() -> None:
        with suppress(OSError, UnicodeError):
            found.extend(str(info[4][0]) for info in socket.getaddrinfo(host, None))

    # the system's resolver has patience for a name server that is gone, and no ear for signals
    looking = Thread(target=look_up, daemon=True)
    looking.start()
    looking.join(_RESOLVE_SECONDS)
    return list(found)


@dataclass(slots=True)
class _Said:
    """What the files say, each with the file that says it."""

    prefixes: dict[str, tuple[bool, str]] = field(default_factory=dict)
    hosts: dict[str, str] = field(default_factory=dict)
    networks: dict[ipaddress.IPv4Network | ipaddress.IPv6Network, str] = field(default_factory=dict)


class InsecureRegistries:
    """Reads the files when it is first asked. `system` stands for `/etc`.

    `note` is told of the system's files that this user may not read, `warn` of all other faults.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        note: Tell,
        warn: Tell,
        *,
        system: str = _SYSTEM,
        resolve: Callable[[str], list[str]] = addresses_of,
    ) -> None:
        self._environ = environ
        self._note = note
        self._warn = warn
        self._system = system
        self._resolve = resolve
        self._said: _Said | None = None

    def said_by(self, registry: str, repository: str) -> str | None:
        """The file that calls `registry`, or this repository of it, insecure."""
        if self._said is None:
            self._said = _Said()
            self._read_podmans(self._said)
            self._read_dockers(self._said)
        said = self._said
        return self._podman_says(said, f"{registry}/{repository}") or self._docker_says(
            said, registry
        )

    # -- podman: containers-registries.conf(5)

    def _podman_says(self, said: _Said, name: str) -> str | None:
        """The most specific prefix decides, also that a repository is not insecure."""
        matching = [prefix for prefix in said.prefixes if _is_prefix(prefix, name)]
        if not matching:
            return None
        # podman keeps them sorted, and takes the first of the longest
        insecure, path = said.prefixes[max(sorted(matching), key=len)]
        return path if insecure else None

    def _read_podmans(self, said: _Said) -> None:
        found = [(path, self._content(path)) for path in self._podmans()]
        texts = [(path, data) for path, data in found if data]
        # most machines have these files, and few say this: the parser is spared
        if any(_SIGN in data for _, data in texts):
            for path, data in texts:
                self._take(path, data, _prefixes, said.prefixes)

    def _podmans(self) -> Iterator[str]:
        """The main file, then those beside it; what comes later counts more."""
        own = [os.path.join(folder, "containers") for folder in own_settings(self._environ)]
        system = os.path.join(self._system, "containers")
        users = next(filter(os.path.exists, (f"{place}/registries.conf" for place in own)), None)
        named = self._named()
        yield named or users or os.path.join(system, "registries.conf")
        # who has a main file of his own has put aside all of the system's
        places = own if users and not named else [*own, system]
        for place in reversed(places):
            folder = os.path.join(place, "registries.conf.d")
            with suppress(OSError):
                names = sorted(name for name in os.listdir(folder) if name.endswith(".conf"))
                yield from (os.path.join(folder, name) for name in names)

    def _named(self) -> str | None:
        names = ("CONTAINERS_REGISTRIES_CONF", "REGISTRIES_CONFIG_PATH")
        path = next(filter(None, map(self._environ.get, names)), None)
        if path and not os.path.exists(path):
            self._pass_over(path, "there is no such file")
        return path

    # -- docker: dockerd(8), `insecure-registries`

    def _docker_says(self, said: _Said, registry: str) -> str | None:
        if is_docker_hub(registry):
            # docker would not have it otherwise
            return None
        if registry in said.hosts or not said.networks:
            return said.hosts.get(registry)
        host = split_host_port(registry)[0].strip("[]")
        try:
            addresses = [str(ipaddress.ip_address(host))]
        except ValueError:
            addresses = self._resolve(host)
        for text in addresses:
            address = ipaddress.ip_address(text.partition("%")[0])
            for network, path in said.networks.items():
                if address in network:
                    return path
        return None

    def _read_dockers(self, said: _Said) -> None:
        own = [os.path.join(folder, "docker") for folder in own_settings(self._environ)]
        # the last is Docker Desktop's
        places = [os.path.join(self._system, "docker"), *own]
        places += [os.path.join(home, ".docker") for home in home_of(self._environ)]
        for place in places:
            path = os.path.join(place, "daemon.json")
            if data := self._content(path):
                entries: dict[str, tuple[bool, str]] = {}
                self._take(path, data, _hosts, entries)
                for entry in entries:
                    network = _network(entry)
                    if network is None:
                        said.hosts.setdefault(entry, path)
                    else:
                        said.networks.setdefault(network, path)

    def _take(
        self,
        path: str,
        data: bytes,
        read: Callable[[bytes], list[tuple[str, bool]]],
        into: dict[str, tuple[bool, str]],
    ) -> None:
        try:
            into.update({name: (insecure, path) for name, insecure in read(data)})
        except _Unusable as error:
            self._pass_over(path, str(error))

    # -- files

    def _content(self, path: str) -> bytes:
        """What is in a file; nothing where there is none, or none that should be read."""
        try:
            with open(path, "rb", opener=_without_waiting) as file:
                mode = os.fstat(file.fileno()).st_mode
                data = file.read(LIMIT + 1) if stat.S_ISREG(mode) else b""
            _check(mode, data)
        except (FileNotFoundError, NotADirectoryError):
            return b""
        except OSError as error:
            # the system's may be for root alone, which is nobody's fault
            reason = error.strerror or str(error)
            if path.startswith(f"{self._system}/"):
                self._note(f"trust: `{path}` is passed over: {reason}")
            else:
                self._pass_over(path, reason)
            return b""
        except _Unusable as error:
            self._pass_over(path, str(error))
            return b""
        return data

    def _pass_over(self, path: str, reason: str) -> None:
        self._warn(f"`{path}` counts as empty: {reason}")


def _is_prefix(prefix: str, name: str) -> bool:
    """Whether `prefix` means the repository `name`. `*.example.com` means all hosts below it, at
    any port; so does, of its own host, a prefix without a port.
    """
    if prefix.startswith("*."):
        return split_host_port(name.partition("/")[0])[0].endswith(prefix[1:])
    return name == prefix or name.startswith((f"{prefix}/", f"{prefix}:"))


def _prefixes(data: bytes) -> list[tuple[str, bool]]:
    """The prefixes in a registries.conf, and whether each is insecure. Raises _Unusable."""
    document = _toml(data)
    old = _of_type(dict, _of_type(dict, document.get("registries", {})).get("insecure", {}))
    names = [_of_type(str, name) for name in _of_type(list, old.get("registries", []))]
    found = {name.rstrip("/"): True for name in names}
    for table in _of_type(list, document.get("registry", [])):
        settings = _of_type(dict, table)
        location = _of_type(str, settings.get("location", ""))
        prefix = (_of_type(str, settings.get("prefix", "")) or location).rstrip("/")
        insecure = _of_type(bool, settings.get("insecure", False))
        if not location and not prefix.startswith("*."):
            raise _Unusable("a registry in it has no location")
        # what says both, podman does not take at all
        found[prefix] = insecure and found.get(prefix, True)
    return list(found.items())


def _toml(data: bytes) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        document: dict[str, Any] = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise _Unusable("it is not TOML") from error
    return document


def _hosts(data: bytes) -> list[tuple[str, bool]]:
    """The entries of a daemon.json, without the schemes that docker forgives. Raises _Unusable."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _Unusable("it is not JSON") from error
    entries = _of_type(list, _of_type(dict, document).get("insecure-registries") or [])
    return [(_of_type(str, entry).rpartition("://")[2].rstrip("/"), True) for entry in entries]


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(entry, strict=False) if "/" in entry else None
    except ValueError:
        return None


def _of_type(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        raise _Unusable("its settings are of another type than they should be")
    return value


def _without_waiting(path: str, flags: int) -> int:
    # the opening of a pipe waits for somebody to write
    return os.open(path, flags | os.O_NONBLOCK)


def _check(mode: int, data: bytes) -> None:
    # who names the null device means it
    if not stat.S_ISREG(mode) and not stat.S_ISCHR(mode):
        raise _Unusable("it is no regular file")
    if len(data) > LIMIT:
        raise _Unusable(f"it has more than {LIMIT} bytes")
    if mode & _OTHERS_WRITE and _SIGN in data:
        raise _Unusable(f"its mode {stat.S_IMODE(mode):04o} lets others write to it")
