"""Real registries and the tools to read them back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.parts.certificates import Certificates, SigningKey
from tests.parts.distribution import PASSWORD, USER, Distribution, DistributionOptions
from tests.parts.fixtures import certificates, signing_key
from tests.parts.programs import need
from tests.parts.skopeo import Skopeo
from tests.parts.token_service import TokenService
from tests.real.command import Command

__all__ = ["certificates", "signing_key"]

HERE = Path(__file__).parent
Start = Callable[[DistributionOptions], AbstractContextManager[Distribution]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test in this folder is `real`."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.real)


@dataclass(slots=True)
class Logs:
    """What the registries of this session have to say."""

    running: list[Distribution] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def logs() -> Logs:
    """Filled by `start_distribution`."""
    return Logs()


@pytest.fixture(autouse=True)
def logs_on_failure(request: pytest.FixtureRequest, logs: Logs) -> Iterator[None]:
    """pytest shows such a section with a test that fails, and only then."""
    before = {registry.port: len(registry.log) for registry in logs.running}
    logs.ended.clear()
    yield
    now = [registry.log[before.get(registry.port, 0) :] for registry in logs.running]
    request.node.add_report_section("teardown", "registry log", "\n".join(now + logs.ended))


@pytest.fixture(scope="session")
def start_distribution(logs: Logs) -> Start:
    """`with start_distribution(DistributionOptions(...)) as registry`, its log shown on failure."""

    @contextmanager
    def start(options: DistributionOptions) -> Iterator[Distribution]:
        with Distribution(options, program=need("docker-registry")) as registry:
            logs.running.append(registry)
            yield registry
            logs.running.remove(registry)
            logs.ended.append(registry.log)

    return start


@pytest.fixture(scope="session")
def distribution(start_distribution: Start) -> Iterator[Distribution]:
    """Open to all, plain HTTP."""
    with start_distribution(DistributionOptions()) as registry:
        yield registry


@pytest.fixture(scope="session")
def tls_distribution(
    start_distribution: Start, certificates: Certificates
) -> Iterator[Distribution]:
    """Open to all, with a certificate of the tests' CA."""
    options = DistributionOptions(tls=certificates.server, ca=certificates.ca)
    with start_distribution(options) as registry:
        yield registry


@pytest.fixture(scope="session")
def htpasswd_distribution(start_distribution: Start) -> Iterator[Distribution]:
    """Basic authentication, plain HTTP."""
    with start_distribution(DistributionOptions(basic=True)) as registry:
        yield registry


@pytest.fixture(scope="session")
def signed_tokens(signing_key: SigningKey) -> Iterator[TokenService]:
    """The token service of `token_distribution`."""
    with TokenService({USER: PASSWORD}, key=signing_key) as service:
        yield service


@pytest.fixture(scope="session")
def token_distribution(
    start_distribution: Start, signed_tokens: TokenService
) -> Iterator[Distribution]:
    """Bearer tokens of `signed_tokens`, plain HTTP."""
    with start_distribution(DistributionOptions(tokens=signed_tokens)) as registry:
        yield registry


@pytest.fixture(scope="session")
def skopeo(tmp_path_factory: pytest.TempPathFactory) -> Skopeo:
    """skopeo with a home of its own."""
    return Skopeo(need("skopeo"), tmp_path_factory.mktemp("skopeo"))


@pytest.fixture
def pulled(skopeo: Skopeo, tmp_path: Path) -> Callable[..., Path]:
    """`pulled("host:port/name:tag", ca=None, login=None)`: a layout of what the registry gives."""

    def pull(image: str, *, ca: Path | None = None, login: str | None = None) -> Path:
        number = len(list(tmp_path.glob("pulled-*")))
        return skopeo.pull(image, tmp_path / f"pulled-{number}", ca=ca, login=login)

    return pull


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """`idpbuilder push`, as a user who has signed in nowhere."""
    home = tmp_path / "home"
    home.mkdir()
    return Command(home)
