"""Where a container engine may be found, in the order in which they are asked."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import urlsplit

from idpbuilder.errors import ImageUnreadable
from idpbuilder.image import InvalidValue
from idpbuilder.image.manifest import parse_object
from idpbuilder.wire import Trust

_PLAIN_PORT = 2375
_TLS_PORT = 2376
_FILE_LIMIT = 4 * 1024 * 1024
_DEFAULT_CONTEXT = "default"


class Kind(Enum):
    """Whose images are kept there."""

    DOCKER = "docker"
    PODMAN = "podman"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an engine may be.

    `label` is what the user knows it by. One of `socket` (the path of a unix socket), `url`
    (`http://host:port` or `https://…`) and `command` (the program `podman`) says how to reach it;
    where none does, `trouble` and `hint` say why. An `explicit` one was named by the user: if it
    does not answer, the search ends.
    """

    label: str
    kind: Kind
    explicit: bool = False
    socket: str = ""
    url: str = ""
    trust: Trust = field(default_factory=Trust)
    command: bool = False
    trouble: str = ""
    hint: str = ""

    @property
    def address(self) -> tuple[object, ...]:
        """Equal for places that are the same engine."""
        if self.socket:
            return (os.path.realpath(self.socket),)
        return (self.url or self.label, self.command)


def places(environ: Mapping[str, str], uid: int | None = None) -> tuple[Place, ...]:
    """Every place where an engine may be, first those that the environment names.

    `uid` is the user's (None: who runs this). A place may come twice, under two names. Raises
    ImageUnreadable where docker's configuration, which names the context, cannot be read.
    """
    home = environ.get("HOME", "")
    runtime = environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid() if uid is None else uid}"
    found = [*_named_for_docker(environ, home)]
    if environ.get("CONTAINER_HOST"):
        found.append(_at(environ["CONTAINER_HOST"], "CONTAINER_HOST", Kind.PODMAN, Trust()))
    docker = ["/var/run/docker.sock", f"{runtime}/docker.sock"]
    if home:
        docker += [f"{home}/.docker/run/docker.sock", f"{home}/.docker/desktop/docker.sock"]
    podman = [f"{runtime}/podman/podman.sock", "/run/podman/podman.sock"]
    found += [Place(path, Kind.DOCKER, socket=path) for path in docker]
    found += [Place(path, Kind.PODMAN, socket=path) for path in podman]
    found.append(Place("the `podman` command", Kind.PODMAN, command=True))
    return tuple(found)


def distinct(found: Iterable[Place]) -> tuple[Place, ...]:
    """`found` without those that are an earlier one under another name."""
    by_address: dict[tuple[object, ...], Place] = {}
    for place in found:
        by_address.setdefault(place.address, place)
    return tuple(by_address.values())


def _named_for_docker(environ: Mapping[str, str], home: str) -> Iterator[Place]:
    # as the docker command has it: a host given by variable outranks every context
    folder = environ.get("DOCKER_CONFIG") or (f"{home}/.docker" if home else "")
    host = environ.get("DOCKER_HOST", "")
    if host:
        trust = _trust_of_variables(environ, folder)
        yield _at(host, "DOCKER_HOST", Kind.DOCKER, trust)
        return
    name = environ.get("DOCKER_CONTEXT") or _current_context(folder)
    if name and name != _DEFAULT_CONTEXT:
        yield _of_context(name, folder)


def _trust_of_variables(environ: Mapping[str, str], folder: str) -> Trust | None:
    """Whom to believe; None where the variables do not ask for TLS."""
    verify = bool(environ.get("DOCKER_TLS_VERIFY"))
    if not verify and not environ.get("DOCKER_TLS"):
        return None
    return _trust_of_folder(environ.get("DOCKER_CERT_PATH") or folder, verify=verify)


def _trust_of_folder(folder: str, *, verify: bool) -> Trust:
    ca, cert, key = (os.path.join(folder, name) for name in ("ca.pem", "cert.pem", "key.pem"))
    return Trust(
        verify=verify,
        only=ca if verify and os.path.isfile(ca) else None,
        client=(cert, key) if os.path.isfile(cert) and os.path.isfile(key) else None,
    )


# -- contexts: `contexts/meta/<sha256 of the name>/meta.json`, TLS files in `contexts/tls/…`


def _current_context(folder: str) -> str:
    path = os.path.join(folder, "config.json")
    try:
        name = parse_object(_read(path) or b"{}").get("currentContext")
    except FileNotFoundError:
        return ""
    except (OSError, InvalidValue) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ImageUnreadable(
            f"cannot learn the docker context from `{path}`",
            reason.lower(),
            "repair the file, set DOCKER_HOST, or name the image by a path",
        ) from error
    return name if isinstance(name, str) else ""


def _of_context(name: str, folder: str) -> Place:
    import hashlib

    label = f"docker context `{name}`"
    key = hashlib.sha256(name.encode()).hexdigest()
    try:
        data = _read(os.path.join(folder, "contexts", "meta", key, "meta.json"))
        endpoint = _endpoint(parse_object(data))
    except FileNotFoundError:
        return _nowhere(label, "there is no such context", "`docker context ls` lists them")
    except (OSError, InvalidValue) as error:
        return _nowhere(label, f"its description cannot be read: {error}", "create it again")
    host = endpoint.get("Host")
    if not isinstance(host, str) or not host:
        return _nowhere(label, "it names no docker engine", "`docker context ls` lists them")
    tls = os.path.join(folder, "contexts", "tls", key, "docker")
    trust = None
    if os.path.isdir(tls) or endpoint.get("SkipTLSVerify") is True:
        trust = _trust_of_folder(tls, verify=endpoint.get("SkipTLSVerify") is not True)
    return _at(host, label, Kind.DOCKER, trust)


def _endpoint(meta: Mapping[str, object]) -> Mapping[str, object]:
    endpoints = meta.get("Endpoints")
    docker = endpoints.get("docker") if isinstance(endpoints, dict) else None
    return docker if isinstance(docker, dict) else {}


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(_FILE_LIMIT)


# -- what users write as an engine's address


def _at(text: str, named_by: str, kind: Kind, trust: Trust | None) -> Place:
    """The place `text`, which `named_by` names; with `trust` it speaks TLS."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        # docker's own short forms: a path, or a host with a port
        scheme, rest = ("unix", text) if text.startswith("/") else ("tcp", text)
    label = f"{named_by} (`{scheme}://…`)"
    if scheme == "unix":
        return Place(f"{named_by} (`unix://{rest}`)", kind, explicit=True, socket=rest or "/")
    if scheme in ("tcp", "http", "https"):
        return _over_tcp(scheme, rest, named_by, kind, trust)
    if scheme == "ssh":
        return _nowhere(
            label,
            "engines are not reached over ssh",
            "forward its socket with `ssh -NL /tmp/engine.sock:/var/run/docker.sock HOST` "
            "and set DOCKER_HOST=unix:///tmp/engine.sock",
            kind,
        )
    return _nowhere(
        label,
        f"`{scheme}` is no way to reach an engine from here",
        "use an address of the form unix:///PATH or tcp://HOST:PORT",
        kind,
    )


def _over_tcp(scheme: str, rest: str, named_by: str, kind: Kind, trust: Trust | None) -> Place:
    tls = scheme == "https" or (scheme == "tcp" and trust is not None)
    try:
        parts = urlsplit(f"//{rest}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host:
        label = f"{named_by} (`{scheme}://…`)"
        hint = "use an address of the form unix:///PATH or tcp://HOST:PORT"
        return _nowhere(label, "the address has no host, or a port that is none", hint, kind)
    host = f"[{host}]" if ":" in host else host
    port = port or (_TLS_PORT if tls else _PLAIN_PORT)
    url = f"{'https' if tls else 'http'}://{host}:{port}{parts.path.rstrip('/')}"
    label = f"{named_by} (`{scheme}://{host}:{port}`)"
    return Place(label, kind, explicit=True, url=url, trust=trust or Trust())


def _nowhere(label: str, trouble: str, hint: str, kind: Kind = Kind.DOCKER) -> Place:
    return Place(label, kind, explicit=True, trouble=trouble, hint=hint)
