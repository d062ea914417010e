"""`--output json`: one object per destination, a line each, on stdout."""

from __future__ import annotations

import json

from idpbuilder.cli.failure import failure_document
from idpbuilder.cli.streams import Stream
from idpbuilder.push.events import Event, Progress, Reporter
from idpbuilder.push.result import PushFailure, PushResult
from idpbuilder.redact import Secrets


class JsonReport:
    """A Reporter that prints outcomes as JSON and leaves the rest to `others`."""

    def __init__(self, out: Stream, others: Reporter, secrets: Secrets) -> None:
        self._out = out
        self._secrets = secrets
        self._others = others

    @property
    def wants_notes(self) -> bool:
        """As the other reporter."""
        return self._others.wants_notes

    @property
    def interval(self) -> float | None:
        """As the other reporter."""
        return self._others.interval

    def emit(self, event: Event, push: int = 0) -> None:
        """Print an outcome as JSON, after the other reporter had it."""
        self._others.emit(event, push)
        if isinstance(event, PushResult):
            self._print(result_document(event))
        elif isinstance(event, PushFailure):
            reference = None if event.reference is None else str(event.reference)
            document = failure_document(event.image or None, reference, event.error, self._secrets)
            self._print(document)

    def progress(self, progress: Progress) -> None:
        """As the other reporter."""
        self._others.progress(progress)

    def _print(self, document: dict[str, object]) -> None:
        # escaped to ASCII, so that every encoding of stdout can say it
        self._out.line(json.dumps(document))


def result_document(result: PushResult) -> dict[str, object]:
    """A result as a JSON object; sizes in bytes, times in seconds."""
    return {
        "image": result.image,
        "reference": str(result.reference),
        "digest": str(result.root.digest),
        "mediaType": result.root.media_type,
        "size": result.size,
        "platforms": list(result.platforms),
        "layers": [
            {
                "digest": str(layer.digest),
                "size": layer.size,
                "status": layer.status.value,
                "seconds": round(layer.seconds, 3),
            }
            for layer in result.layers
        ],
        "bytesSent": result.bytes_sent,
        "requests": result.requests,
        "retries": result.retries,
        "seconds": round(result.seconds, 3),
    }
