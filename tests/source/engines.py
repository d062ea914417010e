"""What the tests of engines share: an access, and everything that it was told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from idpbuilder.image import Digest
from idpbuilder.source.engines.exported import Access
from idpbuilder.source.surroundings import Surroundings
from idpbuilder.transport import CurlEngine, EngineSettings


@dataclass(slots=True)
class Looker:
    """Makes accesses that see nothing of this machine but what `variables` name."""

    home: Path
    variables: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    known: dict[Digest, bytes] = field(default_factory=dict)
    check: Callable[[], None] = lambda: None

    @contextmanager
    def access(self, registry: str | None = None, **variables: str) -> Iterator[Access]:
        """`variables` in addition to its own."""
        environ = {
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self.home / "run"),
            **self.variables,
            **variables,
        }
        with ExitStack() as stack:
            engine = CurlEngine(EngineSettings())
            stack.callback(engine.close)
            surroundings = Surroundings(
                engine,
                environ,
                self.notes.append,
                self.notes.append,
                self.known.get,
                lambda diff_ids: None,
                registry,
            )
            yield Access(surroundings, self.check, stack)
