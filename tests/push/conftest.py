"""Whole pushes, against a registry in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from idpbuilder.credentials import CredentialStores
from idpbuilder.errors import PushError
from idpbuilder.image import Reference
from idpbuilder.push.destination import Prefix
from idpbuilder.push.events import Event, LayerEnded, ManifestEnded, Note, Progress
from idpbuilder.push.options import PushOptions
from idpbuilder.push.result import PushFailure, PushResult
from idpbuilder.push.run import run
from idpbuilder.push.stop import Stop
from tests.parts.fixtures import certificates, registry, signing_key, tokens

__all__ = ["certificates", "registry", "signing_key", "tokens"]


@dataclass
class Recorder:
    """A reporter that keeps all it is told."""

    wants_notes: bool = True
    interval: float | None = 0.01
    events: list[Event] = field(default_factory=list)
    progresses: list[Progress] = field(default_factory=list)
    on_event: Callable[[Event], None] = lambda event: None

    def emit(self, event: Event, push: int = 0) -> None:
        self.events.append(event)
        self.on_event(event)

    def progress(self, progress: Progress) -> None:
        self.progresses.append(progress)

    @property
    def notes(self) -> str:
        return "\n".join(event.text for event in self.events if isinstance(event, Note))

    @property
    def layers(self) -> list[str]:
        """The layers' statuses in manifest order."""
        ended = [event for event in self.events if isinstance(event, LayerEnded)]
        return [event.layer.status.value for event in sorted(ended, key=lambda e: e.number)]

    @property
    def manifests(self) -> list[str]:
        return [event.status.value for event in self.events if isinstance(event, ManifestEnded)]


class Pusher:
    """Pushes with options given by name, and remembers what was told."""

    def __init__(self, home: Path) -> None:
        self.recorder = Recorder()
        self.stop = Stop()
        self.home = home

    def run(self, *images: object, **options: Any) -> tuple[PushResult | PushFailure, ...]:
        """Run to the end; `to` is a text or several, `registry` a prefix."""
        to = options.pop("to", ())
        texts = (to,) if isinstance(to, str) else to
        prefix = options.pop("registry", None)
        chosen = PushOptions(
            images=tuple(map(str, images)),
            to=tuple(map(Reference.parse, texts)),
            prefix=Prefix.parse(prefix) if prefix else None,
            **options,
        )
        return run(chosen, self.recorder, self.stop)

    def push(self, image: object, to: str, **options: Any) -> PushResult:
        """The result of one push that must succeed."""
        (outcome,) = self.run(image, to=to, **options)
        assert isinstance(outcome, PushResult), getattr(outcome, "error", outcome)
        return outcome

    def fails(self, image: object, to: str, **options: Any) -> PushError:
        """The error of one push that must fail."""
        outcome = self.run(image, to=to, **options)[-1]
        assert isinstance(outcome, PushFailure), outcome
        return outcome.error


@pytest.fixture
def pusher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pusher:
    """Pushes with no credentials on the machine."""
    home = tmp_path / "home"
    home.mkdir()
    for name in ("DOCKER_CONFIG", "DOCKER_AUTH_CONFIG", "REGISTRY_AUTH_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("IDPBUILDER_REGISTRY_USER", "IDPBUILDER_REGISTRY_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home / "run"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    # whoever runs the tests may keep secrets of his own
    monkeypatch.setattr(CredentialStores, "_default", lambda *_registry: ())
    return Pusher(home)
