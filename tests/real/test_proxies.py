"""Pushes through real proxies: tinyproxy, squid, microsocks.

No proxy is asked for what is on this machine, so the registry goes by an address that leads to it
and does not count as it, or by a name that only the proxy knows.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.parts.certificates import ANY_ADDRESS, REGISTRY_NAME, Certificates
from tests.parts.distribution import PASSWORD, USER, Distribution, DistributionOptions
from tests.parts.images import ImageSpec, Layout, write_layout
from tests.parts.listeners import ClosesAtOnce, closed_port
from tests.parts.podman_service import Podman
from tests.parts.programs import need
from tests.parts.proxy_server import Microsocks, ProxyServer, Squid, Tinyproxy
from tests.real.command import Command, Done
from tests.real.conftest import Start

SECRET = "pr0xy-s3cret"
VARIABLES = [
    name
    for lower in ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
    for name in (lower, lower.upper())
]
PROXY_HINT = "HTTPS_PROXY"


@dataclass(frozen=True, slots=True)
class Case:
    """The command without a proxy but those that a test names, and an image called proxied/app."""

    command: Command
    layout: Layout
    ca: Path

    def push(self, registry: str, *arguments: object, **variables: str) -> Done:
        """Push to `registry`; what the command says must not hold the proxy's password."""
        environ = {**dict.fromkeys(VARIABLES, ""), "SSL_CERT_FILE": str(self.ca), **variables}
        words = ("--registry", registry, "--verbose", *arguments)
        done = self.command(self.layout.path, *words, **environ)
        assert SECRET not in done.out + done.err
        return done

    def fails(
        self, why: str, hint: str, registry: str, *arguments: object, **variables: str
    ) -> None:
        """The push must fail by the network's fault, with this reason and this hint."""
        done = self.push(registry, "--retry-attempts", "0", *arguments, **variables)
        assert done.code == 3, done.err
        error, _, told = done.err.partition("\n\nhint: ")
        assert why in error.rpartition("Error: ")[2]
        assert hint in told


@pytest.fixture
def case(command: Command, certificates: Certificates, tmp_path: Path) -> Case:
    spec = ImageSpec(name="example.test/proxied/app:v1")
    return Case(command, write_layout(tmp_path / "image", [spec]), certificates.ca)


@pytest.fixture
def tinyproxy() -> Iterator[Tinyproxy]:
    with Tinyproxy(need("tinyproxy")) as proxy:
        yield proxy


def away(registry: Distribution) -> str:
    """The registry under an address for which a proxy is asked."""
    return f"{ANY_ADDRESS}:{registry.port}"


@pytest.mark.parametrize("variable", ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
def test_tls_goes_through_a_tunnel(
    case: Case, tinyproxy: Tinyproxy, tls_distribution: Distribution, variable: str
) -> None:
    host = away(tls_distribution)
    done = case.push(host, **{variable: tinyproxy.url})
    assert done.code == 0, done.err
    assert f"CONNECT {host}" in tinyproxy.log


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_plain_http_is_handed_on(
    case: Case, tinyproxy: Tinyproxy, distribution: Distribution, variable: str
) -> None:
    done = case.push(f"http://{away(distribution)}", **{variable: tinyproxy.url})
    assert done.code == 0, done.err
    assert f"http://{away(distribution)}/v2/proxied/app/" in tinyproxy.log


def test_an_address_without_a_scheme_is_an_http_proxy(
    case: Case, tinyproxy: Tinyproxy, tls_distribution: Distribution
) -> None:
    proxy = tinyproxy.url.removeprefix("http://")
    done = case.push(away(tls_distribution), HTTPS_PROXY=proxy)
    assert done.code == 0, done.err
    assert "CONNECT" in tinyproxy.log


@pytest.mark.parametrize("kind", ["tinyproxy", "squid", "microsocks", "squid over tls"])
def test_a_proxy_with_a_password(
    kind: str, case: Case, tls_distribution: Distribution, certificates: Certificates
) -> None:
    login = {"user": "me", "password": SECRET}
    proxies: dict[str, ProxyServer] = {
        "tinyproxy": Tinyproxy(**login),
        "squid": Squid(**login),
        "squid over tls": Squid(**login, tls=certificates.server),
        "microsocks": Microsocks(**login),
    }
    need(proxies[kind].program)
    host, why = away(tls_distribution), "the proxy wants a user name and password"
    with proxies[kind] as proxy:
        done = case.push(host, HTTPS_PROXY=proxy.url)
        assert done.code == 0, done.err
        assert host in proxy.log
        case.fails(why, PROXY_HINT, host, HTTPS_PROXY=proxy.url_with(""))
        case.fails(why, PROXY_HINT, host, HTTPS_PROXY=proxy.url_with(f"me:not-{SECRET}"))


@pytest.mark.parametrize("password", ["p:w/d@x%#?", "pässwörd", " p w "])
def test_a_proxys_password_may_hold_anything(
    case: Case, tls_distribution: Distribution, password: str
) -> None:
    with Squid(need("squid"), user="me", password=password) as proxy:
        done = case.push(away(tls_distribution), HTTPS_PROXY=proxy.url)
        assert done.code == 0, done.err
        assert "TCP_TUNNEL/200" in proxy.log


def test_a_proxys_password_need_not_be_escaped_more_than_docker_wants_it(
    case: Case, tls_distribution: Distribution
) -> None:
    host = away(tls_distribution)
    with Squid(need("squid"), user="me", password="p@s%s:w") as proxy:
        for login in ("me:p@s%s:w", "me:p%40s%s:w"):
            done = case.push(host, HTTPS_PROXY=proxy.url_with(login))
            assert done.code == 0, done.err
        bare = proxy.url_with("me:p@s%s:w").removeprefix("http://")
        assert case.push(host, HTTPS_PROXY=f" {bare}/ ").code == 0
        why = "the address of the proxy in ALL_PROXY cannot be used"
        case.fails(why, "`%2F` for `/`", host, ALL_PROXY=proxy.url_with("me:p/w"))


def test_of_two_proxies_the_one_in_capitals_is_taken(
    case: Case, tinyproxy: Tinyproxy, tls_distribution: Distribution, distribution: Distribution
) -> None:
    nobody = f"http://127.0.0.1:{closed_port()}"
    host, plain = away(tls_distribution), f"http://{away(distribution)}"
    done = case.push(host, HTTPS_PROXY=tinyproxy.url, https_proxy=nobody, ALL_PROXY=nobody)
    assert done.code == 0, done.err
    done = case.push(plain, HTTP_PROXY=tinyproxy.url, http_proxy=nobody, ALL_PROXY=nobody)
    assert done.code == 0, done.err
    why = "the connection to the proxy was refused"
    case.fails(why, "NO_PROXY", host, HTTPS_PROXY=nobody, https_proxy=tinyproxy.url)


def test_a_header_of_a_cgi_request_names_no_proxy(
    case: Case, tinyproxy: Tinyproxy, distribution: Distribution
) -> None:
    registry = f"http://{away(distribution)}"
    nobody = f"http://127.0.0.1:{closed_port()}"
    done = case.push(registry, HTTP_PROXY=nobody, REQUEST_METHOD="GET")
    assert done.code == 0, done.err
    done = case.push(
        registry, HTTP_PROXY=nobody, http_proxy=tinyproxy.url, REQUEST_METHOD="GET"
    )  # fmt: skip
    assert done.code == 0, done.err
    assert registry in tinyproxy.log


def test_plain_http_by_a_proxy_with_a_password(case: Case, distribution: Distribution) -> None:
    registry = f"http://{away(distribution)}"
    with Squid(need("squid"), user="me", password=SECRET) as proxy:
        done = case.push(registry, HTTP_PROXY=proxy.url)
        assert done.code == 0, done.err
        why = "the proxy wants a user name and password"
        case.fails(why, PROXY_HINT, registry, HTTP_PROXY=proxy.url_with(""))


@pytest.mark.parametrize("kind", ["squid", "squid over tls"])
def test_the_proxy_resolves_the_registrys_name(
    kind: str, case: Case, tls_distribution: Distribution, certificates: Certificates
) -> None:
    tls = certificates.server if kind == "squid over tls" else None
    host = f"{REGISTRY_NAME}:{tls_distribution.port}"
    with Squid(need("squid"), tls=tls) as proxy:
        done = case.push(host, ALL_PROXY=proxy.url)
        assert done.code == 0, done.err
        assert f"CONNECT {host}" in proxy.log


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_socks(case: Case, tls_distribution: Distribution, distribution: Distribution,
               scheme: str) -> None:  # fmt: skip
    with Microsocks(need("microsocks")) as proxy:
        url = f"{scheme}://127.0.0.1:{proxy.port}"
        for registry in (away(tls_distribution), f"http://{away(distribution)}"):
            done = case.push(registry, ALL_PROXY=url)
            assert done.code == 0, done.err
            assert f"connected to {registry.rpartition('/')[2]}" in proxy.log


def test_a_tls_proxy_is_believed_by_the_systems_cas_alone(
    case: Case, tls_distribution: Distribution, certificates: Certificates, tmp_path: Path
) -> None:
    host = away(tls_distribution)
    folder = tmp_path / "certs"
    folder.mkdir()
    (folder / "ca.crt").write_bytes(case.ca.read_bytes())
    system = {"SSL_CERT_FILE": str(certificates.self_signed.cert)}
    with Squid(need("squid"), tls=certificates.server) as proxy:
        for words in (("--insecure",), ("--cert-dir", folder)):
            done = case.push(host, *words, HTTPS_PROXY=proxy.url, **system)
            assert done.code == 3
            assert (
                "TLS with the proxy: the certificate is not trusted: it was signed by" in done.err
            )
        done = case.push(host, "--insecure", HTTPS_PROXY=proxy.url)
        assert done.code == 0, done.err


def test_what_a_proxy_does_not_let_through_is_told_apart(
    case: Case, tls_distribution: Distribution
) -> None:
    with Tinyproxy(need("tinyproxy"), refused=r"0\.0\.0\.0") as proxy:
        why = "the proxy does not let the connection through (403)"
        case.fails(why, "NO_PROXY", away(tls_distribution), HTTPS_PROXY=proxy.url)


def test_an_insecure_registry_without_tls_needs_no_tunnel(
    case: Case, distribution: Distribution
) -> None:
    host = away(distribution)
    with Tinyproxy(need("tinyproxy"), tunnels_to=443) as proxy:
        proxies = {"HTTP_PROXY": proxy.url, "HTTPS_PROXY": proxy.url}
        why = "the proxy does not let the connection through (403)"
        case.fails(why, PROXY_HINT, host, **proxies)
        done = case.push(host, "--insecure", **proxies)
        assert done.code == 0, done.err
        assert f"{why}: going on over plain HTTP" in done.err


def test_what_a_proxy_answers_to_plain_http_is_told_apart_from_the_registrys_answers(
    case: Case, distribution: Distribution, htpasswd_distribution: Distribution
) -> None:
    registry, nobody = f"http://{away(distribution)}", f"http://{ANY_ADDRESS}:{closed_port()}"
    wants, refuses = "the proxy wants a user name and password", "the proxy does not let"
    cannot = "the proxy could not make a connection"
    with Tinyproxy(need("tinyproxy"), user="me", password=SECRET) as proxy:
        wrong = proxy.url_with(f"me:not-{SECRET}")
        case.fails(f"{wants}, or does not take", PROXY_HINT, registry, HTTP_PROXY=wrong)
        case.fails(wants, PROXY_HINT, registry, HTTP_PROXY=proxy.url_with(""))
        case.fails(f"{cannot} (500)", "NO_PROXY", nobody, HTTP_PROXY=proxy.url)
    with Tinyproxy(need("tinyproxy"), refused=r"0\.0\.0\.0") as proxy:
        case.fails(f"{refuses} the connection through (403)", "", registry, HTTP_PROXY=proxy.url)
    with Squid(need("squid")) as proxy:
        case.fails(f"{cannot} (503)", "NO_PROXY", nobody, HTTP_PROXY=proxy.url)
        case.fails(f"{cannot} (50", "NO_PROXY", "http://nowhere.invalid", HTTP_PROXY=proxy.url)
        # what the registry itself refuses stays its own
        closed = f"http://{away(htpasswd_distribution)}"
        done = case.push(closed, HTTP_PROXY=proxy.url)
        assert done.code == 2
        assert f"not signed in to {away(htpasswd_distribution)}" in done.err


@pytest.mark.parametrize("scheme", ["http", "https", "socks5"])
def test_a_proxy_that_hangs_up_is_told_apart(scheme: str, case: Case) -> None:
    with ClosesAtOnce() as server:
        proxy = f"{scheme}://me:{SECRET}@{server.host}"
        case.fails("the proxy", "PROXY", "registry.invalid", HTTPS_PROXY=proxy)


def test_what_is_no_proxy_is_told_apart(case: Case, distribution: Distribution) -> None:
    # a registry is none: it takes the host it is asked to connect to for a path
    proxy = f"http://{distribution.host}"
    case.fails("the proxy does not let", "PROXY", "registry.invalid", HTTPS_PROXY=proxy)
    case.fails("TLS with the proxy: the other side does not speak TLS", "PROXY",
               "registry.invalid", HTTPS_PROXY=f"https://{distribution.host}")  # fmt: skip


def test_an_engines_socket_is_reached_without_a_proxy(
    case: Case, distribution: Distribution
) -> None:
    if os.geteuid():
        pytest.skip("an engine of one's own takes root")
    nobody = f"http://127.0.0.1:{closed_port()}"
    proxies = {variable: nobody for variable in VARIABLES if variable.lower() != "no_proxy"}
    name = f"{distribution.host}/proxied/built:v1"
    with Podman(program=need("podman")) as engine:
        engine.build(name, files={"one": b"1"})
        done = case.command(name, CONTAINER_HOST=engine.host, DOCKER_HOST=engine.host, **proxies)
    assert done.code == 0, done.err


def test_what_a_proxy_cannot_reach_is_told_apart(case: Case) -> None:
    nobody = f"{ANY_ADDRESS}:{closed_port()}"
    why = "the proxy could not make a connection"
    with Squid(need("squid")) as proxy:
        case.fails(f"{why} (503)", "NO_PROXY", nobody, HTTPS_PROXY=proxy.url)
    with Microsocks(need("microsocks")) as socks:
        case.fails(why, "NO_PROXY", nobody, HTTPS_PROXY=socks.url)


def test_a_proxy_that_is_not_there_is_told_apart(case: Case) -> None:
    proxy = f"http://me:{SECRET}@127.0.0.1:{closed_port()}"
    why = "the connection to the proxy was refused"
    case.fails(why, "NO_PROXY", "registry.invalid", HTTPS_PROXY=proxy)
    proxy = f"http://me:{SECRET}@proxy.invalid"
    why = "the name of the proxy has no address"
    case.fails(why, "NO_PROXY", "registry.invalid", HTTPS_PROXY=proxy)
    why = "the address of the proxy in HTTPS_PROXY cannot be used"
    case.fails(why, PROXY_HINT, "registry.invalid", HTTPS_PROXY=f"ftp://me:{SECRET}@proxy.test")


@pytest.mark.parametrize(
    "exceptions",
    ["*", ANY_ADDRESS, "0.0.0.0/8", "other.test, 0.0.0.0/8", f"{ANY_ADDRESS}:PORT"],
)
@pytest.mark.parametrize("variable", ["no_proxy", "NO_PROXY"])
def test_what_is_excepted_is_reached_directly(
    case: Case, tls_distribution: Distribution, exceptions: str, variable: str
) -> None:
    text = exceptions.replace("PORT", str(tls_distribution.port))
    proxy = f"http://127.0.0.1:{closed_port()}"
    done = case.push(away(tls_distribution), HTTPS_PROXY=proxy, **{variable: text})
    assert done.code == 0, done.err


def test_what_is_not_excepted_takes_the_proxy(
    case: Case, tinyproxy: Tinyproxy, tls_distribution: Distribution
) -> None:
    exceptions = f".0.0.0.0,{ANY_ADDRESS}:1,10.0.0.0/8,example.test"
    done = case.push(away(tls_distribution), HTTPS_PROXY=tinyproxy.url, NO_PROXY=exceptions)
    assert done.code == 0, done.err
    assert "CONNECT" in tinyproxy.log


def test_no_proxy_is_asked_for_this_machine(
    case: Case, tls_distribution: Distribution, distribution: Distribution
) -> None:
    proxy = f"http://127.0.0.1:{closed_port()}"
    for host in (tls_distribution.host, tls_distribution.other_host, distribution.host):
        done = case.push(host, ALL_PROXY=proxy, HTTPS_PROXY=proxy, HTTP_PROXY=proxy)
        assert done.code == 0, done.err


def test_a_tunnels_proxy_sees_no_credentials_of_the_registrys(
    case: Case, start_distribution: Start, certificates: Certificates
) -> None:
    options = DistributionOptions(tls=certificates.server, ca=certificates.ca, basic=True)
    with start_distribution(options) as registry, Squid(need("squid")) as proxy:
        user = ("--username", USER, "--password", PASSWORD)
        done = case.push(away(registry), *user, HTTPS_PROXY=proxy.url)
        assert done.code == 0, done.err
        asked = {line.split()[5] for line in proxy.log.splitlines()}
    # the connection that waited for the proxy to come up asked for nothing
    assert asked - {"-"} == {"CONNECT"}
