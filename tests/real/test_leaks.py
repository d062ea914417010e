"""No secret goes to where it does not belong: not to another server, not into anything written.

The other servers are nginx, which logs the Authorization and the Cookie of each request.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import os
import re
import secrets
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.parts.certificates import REGISTRY_NAME, Certificates
from tests.parts.distribution import PASSWORD, USER, Distribution, DistributionOptions
from tests.parts.exchange import Exchange
from tests.parts.faults import Action, Answer, Handle, Wait, errors
from tests.parts.images import ImageSpec, Layout, write_layout
from tests.parts.manners import Manners
from tests.parts.memory_registry import MemoryRegistry
from tests.parts.nginx import Nginx, Seen
from tests.parts.programs import need
from tests.parts.proxy_server import Squid
from tests.parts.registry_auth import BasicAuth, BearerAuth
from tests.parts.token_service import Access, Granted, TokenService
from tests.real.command import Command, Done
from tests.real.conftest import Start
from tests.transport.scripted import Peer, ScriptedServer

LOGIN = ("--username", USER, "--password", PASSWORD)
COOKIE = 'add_header Set-Cookie "session=marked; Path=/" always;'
LINK_LOCAL = "169.254.169.254"
"""Where clouds keep a machine's own credentials."""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    spec = ImageSpec(layers=(300_000, 2_000_000), name="example.test/leaks/app:v1")
    return write_layout(tmp_path / "image", [spec])


@dataclass(frozen=True, slots=True)
class Case:
    """The command and an image, signed in to whatever asks."""

    command: Command
    layout: Layout

    repository: str

    def push(self, host: str, *arguments: object, **variables: str) -> Done:
        words = (
            "--to",
            f"{host}/{self.repository}:v1",
            *LOGIN,
            "--retry-attempts",
            "1",
            *arguments,
        )
        return self.command(self.layout.path, *words, **variables)


@pytest.fixture
def case(command: Command, layout: Layout) -> Case:
    # one of its own: what is there already would not be sent
    return Case(command, layout, f"leaks/{secrets.token_hex(4)}")


def elsewhere(url: str, location: str) -> str:
    """nginx's directive that sends those who upload to `url`."""
    return f"proxy_redirect ~^https?://[^/]+/(v2/{location}.*)$ {url}/$1; {COOKIE}"


def saw_no_secret(seen: list[Seen]) -> bool:
    """Whether a server was asked, and was told nothing of who asked."""
    return bool(seen) and not any(one.authorization or one.cookie for one in seen)


# -- what other servers see


@pytest.mark.parametrize("kind", ["htpasswd_distribution", "token_distribution"])
def test_the_server_of_a_location_sees_neither_authorization_nor_cookie(
    kind: str,
    case: Case,
    signed_tokens: TokenService,
    request: pytest.FixtureRequest,
) -> None:
    registry: Distribution = request.getfixturevalue(kind)
    token = signed_tokens.token("storage", [Access(case.repository, ("pull", "push"))])
    basic = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    own = f"Bearer {token}" if registry.options.tokens else f"Basic {basic}"
    allowed = f'proxy_set_header Authorization "{own}"; {COOKIE}'
    with Nginx(registry.url, directives=allowed, program=need("nginx")) as storage:
        directives = elsewhere(storage.url, "leaks/[^/]+/blobs/uploads")
        with Nginx(registry.url, directives=directives, program=need("nginx")) as front:
            done = case.push(front.host)
            assert done.code == 0, done.err
    assert saw_no_secret(storage.seen)
    assert {one.method for one in storage.seen} >= {"PUT"}
    assert any(one.authorization for one in front.seen)
    # cookies are kept for nobody
    assert not any(one.cookie for one in front.seen)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT"])
def test_a_redirect_is_not_followed(
    status: int, method: str, case: Case, htpasswd_distribution: Distribution
) -> None:
    registry = htpasswd_distribution
    with Nginx(registry.url, directives=COOKIE, program=need("nginx")) as other:
        away = f"if ($request_method = {method}) {{ return {status} {other.url}$request_uri; }}"
        with Nginx(registry.url, directives=away + COOKIE, program=need("nginx")) as front:
            done = case.push(front.host)
    assert other.seen == []
    assert PASSWORD not in done.err
    # a HEAD that answers nothing is asked anew as a GET, or the blob is sent: then all is well
    assert done.code == 5 or (method == "HEAD" and done.code == 0)


def test_a_token_service_that_redirects_is_not_followed(
    case: Case, token_distribution: Distribution, signed_tokens: TokenService
) -> None:
    with Nginx(token_distribution.url, program=need("nginx")) as other:
        away = Answer(307, headers={"Location": f"{other.url}/token"})
        signed_tokens.fault(away)
        done = case.push(token_distribution.host)
    assert done.code == 2
    assert other.seen == []


def test_a_password_goes_to_the_realm_and_tokens_to_the_registry(
    case: Case, token_distribution: Distribution, signed_tokens: TokenService
) -> None:
    before = len(signed_tokens.requests)
    with Nginx(token_distribution.url, program=need("nginx")) as front:
        done = case.push(front.host)
        assert done.code == 0, done.err
    asked = signed_tokens.requests[before:]
    assert {(one.authorization or "").partition(" ")[0] for one in asked} == {"Basic"}
    schemes = {one.authorization.partition(" ")[0] for one in front.seen}
    assert schemes == {"", "Bearer"}


# -- where a registry may send us


def test_a_location_at_a_link_local_address_is_refused(case: Case) -> None:
    place = f"http://{LINK_LOCAL}/v2/{{repo}}/blobs/uploads/{{id}}"
    with MemoryRegistry(Manners(location=place)) as registry:
        done = case.push(registry.host)
    assert done.code == 5
    assert f"the Location leads to {LINK_LOCAL}, an address of this link alone" in done.err


INSIDE = ("127.0.0.1", "localhost", "[::1]", "10.1.2.3", LINK_LOCAL)
SPELT_OTHERWISE = ("2130706433", "0x7f.1", "0177.0.0.1", "127%2e0%2e0%2e1", "loc%61lhost")
MAPPED = ("[::ffff:127.0.0.1]", "[::ffff:a9fe:a9fe]", "[64:ff9b::7f00:1]")


@pytest.mark.parametrize("address", INSIDE + SPELT_OTHERWISE + MAPPED)
def test_a_registry_elsewhere_sends_nobody_to_this_machine_or_its_network(
    address: str, case: Case, start_distribution: Start, certificates: Certificates
) -> None:
    options = DistributionOptions(basic=True)
    variables = {"SSL_CERT_FILE": str(certificates.ca), "no_proxy": "", "NO_PROXY": ""}
    tls, nginx = certificates.server, need("nginx")
    with (
        start_distribution(options) as registry,
        Nginx(registry.url, tls=tls, program=nginx) as inside,
        Squid(need("squid")) as proxy,
    ):
        place = f"https://{address}:{inside.port}"
        directives = elsewhere(place, "leaks/[^/]+/blobs/uploads")
        with Nginx(registry.url, tls=tls, directives=directives, program=nginx) as front:
            host = f"{REGISTRY_NAME}:{front.port}"
            done = case.push(host, https_proxy=proxy.url, **variables)
            assert done.code == 5, done.err
            led = re.escape(f"the Location leads to {address.strip('[]')}, an address ")
            assert re.search(f"{led}(of this|inside|in disguise)", done.err), done.err
    assert inside.seen == []
    assert any(one.authorization for one in front.seen)


def test_a_name_that_turns_out_to_be_this_machine_is_asked_for_nothing(
    case: Case, htpasswd_distribution: Distribution
) -> None:
    name, registry, nginx = socket.gethostname(), htpasswd_distribution, need("nginx")
    try:
        here = socket.gethostbyname(name)
    except OSError:
        pytest.skip("this machine's name has no address")
    if not ipaddress.ip_address(here).is_loopback or name == "localhost":
        pytest.skip("this machine's name does not lead to loopback")
    with (
        Nginx(registry.url, program=nginx) as inside,
        Squid(need("squid")) as proxy,
    ):
        place = f"http://{name}:{inside.port}"
        directives = elsewhere(place, "leaks/[^/]+/blobs/uploads")
        with Nginx(registry.url, directives=directives, program=nginx) as front:
            host = f"{REGISTRY_NAME}:{front.port}"
            words = ("--insecure", "--retry-attempts", "3")
            # only the proxy knows where the registry is; its name says: outside
            proxies = {"http_proxy": proxy.url, "https_proxy": proxy.url, "no_proxy": name}
            upper = {key.upper(): value for key, value in proxies.items()}
            done = case.push(host, *words, **proxies, **upper)
    assert done.code == 5, done.err
    assert f"the registry leads to {here}, an address of this machine" in done.err
    assert inside.seen == []


def test_a_location_that_leads_out_of_tls_is_refused(
    case: Case, start_distribution: Start, certificates: Certificates
) -> None:
    with (
        start_distribution(DistributionOptions(basic=True)) as registry,
        Nginx(registry.url, program=need("nginx")) as other,
    ):
        directives = elsewhere(other.url, "leaks/[^/]+/blobs/uploads")
        tls = certificates.server
        with Nginx(registry.url, tls=tls, directives=directives, program=need("nginx")) as front:
            done = case.push(front.host, SSL_CERT_FILE=str(certificates.ca))
    assert done.code == 5
    assert "the Location leads out of TLS" in done.err
    assert other.seen == []


@pytest.mark.parametrize(
    ("realm", "why"),
    [
        (f"http://{LINK_LOCAL}/token", "an address of this link alone"),
        ("http://me:pw@127.0.0.1/token", "names no token service"),
        ("file:///etc/passwd", "names no token service"),
        ("gopher://127.0.0.1/token", "names no token service"),
        ("http://2852039166/token", "an address in disguise"),
        ("http://127%2e0%2e0%2e1/token", "an address in disguise"),
        ("http://[64:ff9b::a9fe:a9fe]/token", "an address of this link alone"),
        ("/token", "names no token service"),
    ],
)
def test_a_realm_that_is_no_place_to_ask_is_refused(realm: str, why: str, case: Case) -> None:
    challenge = f'Bearer realm="{realm}",service="test"'
    with MemoryRegistry(auth=BasicAuth({}, challenge)) as registry:
        done = case.push(registry.host)
    assert done.code == 2
    assert why in done.err


def test_a_realm_without_tls_is_not_asked_for_a_registry_with_it(
    case: Case, certificates: Certificates
) -> None:
    with TokenService({USER: PASSWORD}) as tokens:
        context = certificates.server.server_context()
        with MemoryRegistry(auth=BearerAuth(tokens), tls=context) as registry:
            done = case.push(registry.host, SSL_CERT_FILE=str(certificates.ca))
        assert done.code == 2
        assert "is reached without TLS" in done.err
        assert tokens.requests == []


# -- what is written


@dataclass(frozen=True, slots=True)
class Echo:
    """Answers with all that the request said of its sender, and a cookie."""

    status: int
    page: bool = False

    def apply(self, exchange: Exchange, handle: Handle) -> None:
        exchange.read_body()
        request = exchange.request
        query = "&".join(f"{name}={value}" for name, (value, *_) in request.query.items())
        said = [f"{request.method} {request.path}?{query}"]
        said += [f"{name}: {value}" for name, value in request.headers.items()]
        said += [f"{name}={value}" for name, value in (request.basic and [request.basic]) or ()]
        headers = {"Set-Cookie": "session=marked-cookie"}
        if self.page:
            text = "".join(f"<p>{line}</p>" for line in said)
            exchange.answer(self.status, f"<html>{text}</html>", headers)
        else:
            exchange.answer(self.status, errors("DENIED", "; ".join(said), said), headers)


@dataclass(slots=True)
class Marks:
    """Secrets that can be told from all other text, and every form in which they could come out."""

    password: str = field(default_factory=lambda: f"marked{secrets.token_hex(12)}")
    state: str = field(default_factory=lambda: f"state{secrets.token_hex(12)}")
    further: list[str] = field(default_factory=list)

    def forms(self) -> Iterator[str]:
        """Plain, and within base64 at each of its three offsets."""
        for secret in (self.password, self.state, "marked-cookie", *self.further):
            yield secret
            yield secret[:12]
            for offset in range(3):
                encoded = base64.b64encode(b" " * offset + secret.encode()).decode()
                yield encoded[4 if offset else 0 : -4]

    def found_in(self, texts: Mapping[str, str]) -> list[str]:
        """The names of the texts that hold one."""
        forms = set(self.forms())
        return [name for name, text in texts.items() if any(form in text for form in forms)]


@dataclass(slots=True)
class Scene:
    """A home whose every file can be searched, and the ways to hand a password over."""

    command: Command
    layout: Layout
    folder: Path
    marks: Marks

    def config(self, document: object) -> dict[str, str]:
        """A docker config file outside of the home; the variables that name it."""
        place = self.folder / "docker-config"
        place.mkdir(exist_ok=True)
        (place / "config.json").write_text(json.dumps(document))
        (place / "config.json").chmod(0o600)
        return {"DOCKER_CONFIG": str(place)}

    def written(self, done: Done) -> dict[str, str]:
        """All that was written, by what it was written to."""
        found = {"stdout": done.out, "stderr": done.err}
        for root in (self.command.home, self.folder / "written"):
            for path in root.rglob("*"):
                found[f"name of {path}"] = str(path)
                if path.is_file():
                    found[str(path)] = path.read_bytes().decode("latin-1")
        return found

    def push(self, host: str, *arguments: object, **variables: str) -> Done:
        """Push, with a digest file, a cache and a folder for temporary files."""
        written = self.folder / "written"
        (written / "tmp").mkdir(parents=True, exist_ok=True)
        words = ("--to", f"{host}/leaks/app:v1", "--digestfile", written / "digest", *arguments)
        done = self.command(
            self.layout.path,
            *words,
            TMPDIR=str(written / "tmp"),
            **variables,
        )
        assert self.marks.found_in(self.written(done)) == [], done.err
        return done


@pytest.fixture
def scene(command: Command, layout: Layout, tmp_path: Path) -> Scene:
    return Scene(command, layout, tmp_path, Marks())


LOUDNESS = {
    # the reasons of further tries are told too
    "verbose": (("--verbose", "--retry-attempts", "1"), {}),
    "json": (("--output", "json", "--verbose", "--retry-attempts", "0"), {}),
    "debug": (("--progress", "plain", "--retry-attempts", "0"), {"IDPBUILDER_DEBUG": "1"}),
}
Given = tuple[tuple[str, ...], dict[str, str]]


def by_flag(scene: Scene, host: str) -> Given:
    return ("--username", USER, "--password", scene.marks.password), {}


def by_variable(scene: Scene, host: str) -> Given:
    names = ("IDPBUILDER_REGISTRY_USER", "IDPBUILDER_REGISTRY_PASSWORD")
    return (), dict(zip(names, (USER, scene.marks.password), strict=True))


def by_config(scene: Scene, host: str) -> Given:
    auth = base64.b64encode(f"{USER}:{scene.marks.password}".encode()).decode()
    return (), scene.config({"auths": {host: {"auth": auth}}})


def by_authfile(scene: Scene, host: str) -> Given:
    folder = by_config(scene, host)[1]["DOCKER_CONFIG"]
    return ("--authfile", f"{folder}/config.json"), {}


def by_identity_token(scene: Scene, host: str) -> Given:
    auth = base64.b64encode(b"<token>:").decode()
    entry = {"auth": auth, "identitytoken": scene.marks.password}
    return (), scene.config({"auths": {host: entry}})


def by_registry_token(scene: Scene, host: str) -> Given:
    return (), scene.config({"auths": {host: {"registrytoken": scene.marks.password}}})


WAYS: list[Callable[[Scene, str], Given]] = [
    by_flag,
    by_variable,
    by_config,
    by_authfile,
    by_identity_token,
    by_registry_token,
]
TROUBLE: dict[str, list[tuple[Action, str, str]]] = {
    "none": [],
    "401": [(Echo(401), "PUT", "blobs")],
    "403 of the head": [(Echo(403), "HEAD", "manifests")],
    "403": [(Echo(403), "POST", "blobs")],
    "404 page": [(Echo(404, page=True), "POST", "blobs")],
    "500": [(Echo(500), "PUT", "blobs")],
    "502 page": [(Echo(502, page=True), "PUT", "blobs")],
    "400 manifest": [(Echo(400), "PUT", "manifests")],
}
FEW_TROUBLES = ("none", "403", "502 page")


@pytest.mark.parametrize("loudness", LOUDNESS)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_whatever_happens_no_secret_is_written(
    way: Callable[[Scene, str], Given], loudness: str, scene: Scene
) -> None:
    place = f"/v2/{{repo}}/blobs/uploads/{{id}}?_state={scene.marks.state}&n={{state}}"
    # what differs by way is only which text is secret
    chosen = TROUBLE if way is by_flag else FEW_TROUBLES
    for trouble in (TROUBLE[name] for name in chosen):
        with ExitStack() as stack:
            tokens = stack.enter_context(TokenService({USER: scene.marks.password}))
            tokens.refresh_tokens[scene.marks.password] = USER
            if way is by_registry_token:
                # the token is the registry's own
                tokens._issued[scene.marks.password] = _everything("leaks/app")
            auth = BearerAuth(tokens)
            registry = stack.enter_context(MemoryRegistry(Manners(location=place), auth=auth))
            for action, method, path in trouble:
                registry.fault(action, method=method, path=path, times=None)
            loud, environ = LOUDNESS[loudness]
            words, variables = way(scene, registry.host)
            done = scene.push(registry.host, *loud, *words, **environ, **variables)
            assert done.code or not trouble or trouble[0][1] == "HEAD", done.err
            assert trouble or not done.code, done.err
            scene.marks.further += tokens._issued
        # again, now that the tokens are known
        assert scene.marks.found_in(scene.written(done)) == []


def _everything(repository: str) -> Granted:
    return Granted((Access(repository, ("pull", "push", "delete")),))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 500])
@pytest.mark.parametrize("way", [by_flag, by_config, by_identity_token], ids=lambda w: w.__name__)
def test_whatever_a_token_service_says_no_secret_is_written(
    way: Callable[[Scene, str], Given], status: int, scene: Scene
) -> None:
    for page in (False, True):
        with TokenService({USER: scene.marks.password}) as tokens:
            tokens.fault(Echo(status, page), times=None)
            with MemoryRegistry(auth=BearerAuth(tokens)) as registry:
                words, variables = way(scene, registry.host)
                words = ("--verbose", "--retry-attempts", "0", *words)
                done = scene.push(registry.host, *words, IDPBUILDER_DEBUG="1", **variables)
        assert done.code != 0
        assert done.err


@pytest.mark.parametrize("loudness", LOUDNESS)
def test_a_password_that_the_registry_refuses_is_not_written(loudness: str, scene: Scene) -> None:
    loud, environ = LOUDNESS[loudness]
    with MemoryRegistry(auth=BasicAuth({USER: "another"})) as registry:
        for way in (by_flag, by_variable, by_config):
            words, variables = way(scene, registry.host)
            done = scene.push(registry.host, *loud, *words, **environ, **variables)
            assert done.code == 2


@pytest.mark.parametrize("loudness", LOUDNESS)
def test_a_proxys_password_is_not_written(
    loudness: str, scene: Scene, distribution: Distribution
) -> None:
    loud, environ = LOUDNESS[loudness]
    plain = {"no_proxy": "", "NO_PROXY": "", "https_proxy": "", "http_proxy": ""}
    marked = f"me:{scene.marks.password}"
    host = f"0.0.0.0:{distribution.port}"
    with Squid(need("squid"), user="me", password=scene.marks.password) as proxy:
        for login in (marked, f"{marked}-wrong", f"{scene.marks.password}:wrong"):
            url = proxy.url_with(login)
            variables = {**plain, "HTTP_PROXY": url, "HTTPS_PROXY": url, "ALL_PROXY": url}
            done = scene.push(host, *loud, "--insecure", **environ, **variables)
            assert (done.code == 0) == (login == marked), done.err
    for broken in (f"http://{marked}@[::1", f"gopher://{marked}@x", f"http://{marked}@no.invalid"):
        variables = {**plain, "HTTP_PROXY": broken, "HTTPS_PROXY": broken}
        done = scene.push("registry.invalid", *loud, **environ, **variables)
        assert done.code == 3, done.err


def test_a_signed_location_elsewhere_is_not_written(scene: Scene) -> None:
    place = f"http://{{other_host}}/storage/{{id}}?X-Amz-Signature={scene.marks.state}"
    for trouble in TROUBLE.values():
        with MemoryRegistry(Manners(location=place, sessions_need_auth=False)) as registry:
            for action, method, path in trouble:
                registry.fault(action, method=method, path="storage" if path == "blobs" else path)
            done = scene.push(
                registry.host, "--verbose", "--retry-attempts", "0", IDPBUILDER_DEBUG="1"
            )
            assert done.err


def test_the_state_of_a_large_upload_is_gone_when_it_is_done(scene: Scene) -> None:
    # large enough that its session is written down, for the case that we are killed
    large = write_layout(scene.folder / "large", [ImageSpec(layers=(9_000_000,))])
    place = f"/v2/{{repo}}/blobs/uploads/{{id}}?_state={scene.marks.state}&n={{state}}"
    with MemoryRegistry(Manners(location=place)) as registry:
        done = replace(scene, layout=large).push(registry.host, "--verbose")
    assert done.code == 0, done.err
    kept = [path for path in scene.command.home.rglob("*") if path.is_file()]
    assert kept
    assert {path.stat().st_mode & 0o077 for path in kept} == {0}


def test_what_a_proxy_says_of_the_password_it_was_given_is_not_written(scene: Scene) -> None:
    mark = scene.marks.password

    def echo(peer: Peer) -> None:
        head = peer.read_head()
        said = f"no: me:{mark} or {mark}; {head.decode()}".encode()
        peer.send(b"HTTP/1.1 418 No\r\nContent-Length: %d\r\n\r\n%b" % (len(said), said))

    with ScriptedServer(echo) as proxy:
        url = f"http://me:{mark}@{proxy.host}"
        environ = {"HTTP_PROXY": url, "HTTPS_PROXY": url, "NO_PROXY": "", "no_proxy": ""}
        for scheme, code in (("http", 5), ("https", 3)):
            where = ("--registry", f"{scheme}://registry.invalid", "--verbose")
            done = scene.command(
                scene.layout.path, *where, "--retry-attempts", "0", IDPBUILDER_DEBUG="1", **environ
            )
            assert done.code == code, done.err
            assert scene.marks.found_in(scene.written(done)) == [], done.err


def test_a_place_with_a_password_in_it_is_refused_and_not_repeated(scene: Scene) -> None:
    mark = scene.marks.password
    for text in (f"{USER}:{mark}@registry.test/app:v1", f"registry.test/app?token={mark}"):
        for flag in ("--to", "--registry"):
            done = scene.command(scene.layout.path, flag, text, "--verbose", IDPBUILDER_DEBUG="1")
            assert done.code == 1
            assert scene.marks.found_in(scene.written(done)) == []


# -- the process list


def command_lines(process: int) -> dict[int, str]:
    """Those of a process and of all that it started."""
    children: dict[int, list[int]] = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parent = re.search(r"\) . (\d+)", (place / "stat").read_text())
        except OSError:
            continue
        if parent:
            children.setdefault(int(parent[1]), []).append(int(place.name))
    found, left = {}, [process]
    while left:
        number = left.pop()
        left += children.get(number, [])
        try:
            found[number] = Path(f"/proc/{number}/cmdline").read_bytes().decode("latin-1")
        except OSError:
            continue
    return found


@pytest.mark.parametrize(
    "way", [by_variable, by_config, by_authfile, by_identity_token], ids=lambda w: w.__name__
)
def test_we_put_no_secret_into_the_process_list(
    way: Callable[[Scene, str], Given], scene: Scene
) -> None:
    gate = threading.Event()
    with TokenService({USER: scene.marks.password}) as tokens:
        tokens.refresh_tokens[scene.marks.password] = USER
        with MemoryRegistry(auth=BearerAuth(tokens)) as registry:
            registry.fault(Wait(gate), method="PUT", times=None)
            words, variables = way(scene, registry.host)
            to = ("--to", f"{registry.host}/leaks/app:v1", "--verbose")
            with scene.command.start(scene.layout.path, *to, *words, **variables) as process:
                while not registry.seen("PUT"):
                    assert process.poll() is None
                lines = command_lines(process.pid)
                gate.set()
                out, err = process.communicate(timeout=30)
            scene.marks.further += tokens._issued
    assert process.returncode == 0, err
    assert lines[process.pid]
    texts = {str(number): line for number, line in lines.items()}
    assert scene.marks.found_in({**texts, "stdout": out, "stderr": err}) == []


HELPER = """#!/bin/sh
{{ tr '\\0' '\\n' </proc/$$/cmdline; tr '\\0' '\\n' </proc/$PPID/cmdline; cat; }} >{log}
printf '%s {mark}\\n' said >&2
printf '{{"Username":"%s","Secret":"%s"}}' {user} {mark}
exit {code}
"""


@pytest.mark.parametrize("code", [0, 1])
@pytest.mark.parametrize("setting", ["credsStore", "credHelpers"])
def test_a_helpers_secret_is_written_nowhere(code: int, setting: str, scene: Scene) -> None:
    programs = scene.folder / "programs"
    programs.mkdir()
    helper, log = programs / "docker-credential-marked", scene.folder / "seen-by-helper"
    values = {"log": log, "mark": scene.marks.password, "user": USER, "code": code}
    helper.write_text(HELPER.format_map(values))
    helper.chmod(0o755)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    with MemoryRegistry(auth=BasicAuth({USER: scene.marks.password})) as registry:
        named: object = "marked" if setting == "credsStore" else {registry.host: "marked"}
        variables = scene.config({setting: named})
        done = scene.push(registry.host, "--verbose", IDPBUILDER_DEBUG="1", PATH=path, **variables)
        assert done.code == (2 if code else 0), done.err
        assert log.read_text().rstrip().endswith(registry.host)
    assert scene.marks.found_in({"what the helper saw": log.read_text()}) == []


def test_the_marks_would_be_found(scene: Scene) -> None:
    mark = scene.marks.password
    for text in (
        f"x{mark}y",
        base64.b64encode(f"{USER}:{mark}".encode()).decode(),
        base64.b64encode(f"a:{mark}".encode()).decode(),
        base64.b64encode(f"ab:{mark}".encode()).decode(),
        mark[:12],
        scene.marks.state,
    ):
        assert scene.marks.found_in({"here": text}) == ["here"], text
    assert scene.marks.found_in({"here": "nothing of the kind"}) == []
