"""Engines for the tests, all closed at their end, and an environment without surprises."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from idpbuilder.transport.curl import CurlEngine
from idpbuilder.transport.settings import EngineSettings
from idpbuilder.wire import Completion, Request
from tests.parts.certificates import Certificates, make_certificates

_PATIENCE = 30.0


class MakeEngine(Protocol):
    """Makes an engine with these settings."""

    def __call__(self, clock: Callable[[], float] = ..., **settings: object) -> CurlEngine: ...


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def make_engine() -> Iterator[MakeEngine]:
    engines: list[CurlEngine] = []

    def make(clock: Callable[[], float] = time.monotonic, **settings: object) -> CurlEngine:
        engine = CurlEngine(EngineSettings(**settings), clock)  # type: ignore[arg-type]
        engines.append(engine)
        return engine

    yield make
    for engine in engines:
        engine.close()


@pytest.fixture
def engine(make_engine: MakeEngine) -> CurlEngine:
    return make_engine()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder: Path = tmp_path_factory.mktemp("certificates")
    return make_certificates(folder)


class Finish(Protocol):
    """Submits requests, and polls until all have ended; their completions in that order."""

    def __call__(self, engine: CurlEngine, *requests: Request) -> list[Completion]: ...


@pytest.fixture
def finish() -> Finish:
    def run(engine: CurlEngine, *requests: Request) -> list[Completion]:
        tickets = [engine.submit(request) for request in requests]
        ended: dict[int, Completion] = {}
        end = time.monotonic() + _PATIENCE
        while len(ended) < len(tickets):
            assert time.monotonic() < end, "the engine does not come to an end"
            ended |= {completion.ticket: completion for completion in engine.poll(1.0)}
        return [ended[ticket] for ticket in tickets]

    return run
