"""A machine with nothing on it, and visits from there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from idpbuilder.doctor.finding import Finding, State
from idpbuilder.doctor.options import DoctorOptions
from idpbuilder.doctor.registry import Visit
from idpbuilder.transport.curl import CurlEngine
from idpbuilder.transport.settings import EngineSettings
from tests.parts.fixtures import certificates, registry, signing_key, tokens

__all__ = ["certificates", "registry", "signing_key", "tokens"]


@dataclass(frozen=True, slots=True)
class Seen:
    """Findings, to be asked for by what they are about."""

    findings: list[Finding]

    def __getitem__(self, what: str) -> Finding:
        """The one finding about `what`."""
        (found,) = (finding for finding in self.findings if finding.what == what)
        return found

    def __contains__(self, what: str) -> bool:
        return any(finding.what == what for finding in self.findings)

    @property
    def failure(self) -> Finding:
        """The one failure, which is the last finding."""
        (found,) = (one for one in self.findings if one.state is State.FAILURE)
        assert found is self.findings[-1]
        return found

    @property
    def ends_well(self) -> bool:
        """Whether there is no failure."""
        return all(one.state is not State.FAILURE for one in self.findings)


@dataclass(slots=True)
class Visitor:
    """Visits registries; `variables` are all that it knows of its surroundings."""

    engine: CurlEngine
    variables: dict[str, str]
    confided: list[str] = field(default_factory=list)
    check: Callable[[], None] = lambda: None

    def __call__(self, registry: str, repository: str = "", **options: Any) -> Seen:
        chosen = DoctorOptions(registry, repository, confide=self.confided.append, **options)
        # in a year in which every certificate of the tests holds for long
        visit = Visit(chosen, self.variables, self.engine, self.check, lambda: 0.0)
        return Seen(list(visit.findings()))


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    """Of a user with an empty home, and no programs."""
    home = tmp_path / "home"
    home.mkdir()
    return {
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(home / "run"),
        "PATH": str(home / "bin"),
        "CONTAINERS_REGISTRIES_CONF": "/dev/null",
    }


@pytest.fixture
def engine() -> Iterator[CurlEngine]:
    running = CurlEngine(EngineSettings())
    yield running
    running.close()


@pytest.fixture
def visit(engine: CurlEngine, variables: dict[str, str]) -> Visitor:
    return Visitor(engine, variables)
