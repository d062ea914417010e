"""What the tests of engines share: an access, and everything that it was told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from idpbuilder.image import Digest, Manifest
from idpbuilder.source import SourceImage
from idpbuilder.source.engines import Access
from idpbuilder.source.surroundings import Surroundings
from idpbuilder.transport.curl import CurlEngine
from idpbuilder.transport.settings import EngineSettings
from tests.source.opened import content


@dataclass(slots=True)
class Looker:
    """Makes accesses that see nothing of this machine but what `variables` name."""

    home: Path
    variables: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    known: dict[Digest, bytes] = field(default_factory=dict)
    tables: dict[str, bytes] = field(default_factory=dict)
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
                self.tables.get,
            )
            yield Access(surroundings, self.check, stack)

    def remember(self, image: SourceImage) -> None:
        """As after it was pushed."""
        assert image.contents is not None
        self.tables.update([image.contents])
        for document in image.documents:
            self.known[document.descriptor.digest] = document.data
            if isinstance(document.content, Manifest):
                config = document.content.config.digest
                self.known[config] = content(image.blobs[config])
