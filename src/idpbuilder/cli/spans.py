"""Pushes and blobs as OpenTelemetry spans, where the environment asks for them.

Nothing of it is imported unless a variable names an exporter and the extra is installed. What goes
wrong here is a warning at most: no push ends by it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import entry_points
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Span, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from idpbuilder import __version__
from idpbuilder.image import Reference
from idpbuilder.push.events import (
    ConfigEnded,
    Event,
    LayerEnded,
    Progress,
    PushStarted,
    Reporter,
    Warned,
)
from idpbuilder.push.result import LayerResult, PushFailure, PushResult
from idpbuilder.redact import Secrets

_FLUSH_MILLISECONDS: Final = 5_000
_SERVICE: Final = "idpbuilder-push"
_GROUP: Final = "opentelemetry_traces_exporter"
_OTLP: Final = {"grpc": "otlp_proto_grpc", "http/protobuf": "otlp_proto_http"}

Now = Callable[[], int]


class _Heard(SpanExporter):
    """An exporter of which is known whether it failed."""

    def __init__(self, exporter: SpanExporter) -> None:
        self.failed = False
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export; what is raised is a failure too."""
        result = SpanExportResult.FAILURE
        with suppress(Exception):
            result = self._exporter.export(spans)
        self.failed = self.failed or result is SpanExportResult.FAILURE
        return result

    def shutdown(self) -> None:
        """As the exporter's."""
        self._exporter.shutdown()


class SpansReport:
    """A Reporter that makes a span of each push and of each blob below it; `others` have all else.

    `now` gives nanoseconds since 1970.
    """

    def __init__(
        self,
        others: Reporter,
        exporters: Sequence[SpanExporter],
        environ: Mapping[str, str],
        secrets: Secrets,
        now: Now = time.time_ns,
    ) -> None:
        self._others = others
        self._secrets = secrets
        self._now = now
        self._heard = [_Heard(one) for one in exporters]
        self._provider = TracerProvider(resource=_resource(environ), shutdown_on_exit=False)
        for one in self._heard:
            self._provider.add_span_processor(BatchSpanProcessor(one))
        self._tracer = self._provider.get_tracer(_SERVICE, __version__)
        self._parent = _parent(environ)
        self._spans: dict[int, Span] = {}

    @property
    def wants_notes(self) -> bool:
        """As the other reporter."""
        return self._others.wants_notes

    @property
    def interval(self) -> float | None:
        """As the other reporter."""
        return self._others.interval

    def progress(self, progress: Progress) -> None:
        """As the other reporter."""
        self._others.progress(progress)

    def emit(self, event: Event, push: int = 0) -> None:
        """Begin or end a span, after the other reporter had the event."""
        self._others.emit(event, push)
        if isinstance(event, PushStarted) and push not in self._spans:
            attributes = _image(event.image, event.reference)
            self._spans[push] = self._tracer.start_span(
                f"push {event.reference.name}",
                self._parent,
                attributes=attributes,
                start_time=self._now(),
            )
        elif isinstance(event, LayerEnded):
            self._blob("layer", event.layer, push)
        elif isinstance(event, ConfigEnded):
            self._blob("config", event.config, push)
        elif isinstance(event, PushResult | PushFailure):
            self._end(event, push)

    def close(self) -> None:
        """Send what is left, for at most a few seconds; warn where it could not be sent."""
        for span in self._spans.values():
            # somebody stopped the run
            span.set_status(Status(StatusCode.ERROR, "not finished"))
            span.end(self._now())
        self._spans.clear()
        if not self._flushed() or any(one.failed for one in self._heard):
            text = "OpenTelemetry: the spans could not all be sent; check the OTEL_ variables"
            self._others.emit(Warned(text))
        else:
            self._provider.shutdown()

    def _flushed(self) -> bool:
        """Whether all was sent in time, which the SDK does not see to."""
        sent: SimpleQueue[bool] = SimpleQueue()

        def flush() -> None:
            sent.put(self._provider.force_flush(_FLUSH_MILLISECONDS))

        Thread(target=flush, name="idpbuilder-spans", daemon=True).start()
        try:
            return sent.get(timeout=_FLUSH_MILLISECONDS / 1000)
        except Empty:
            return False

    def _blob(self, kind: str, blob: LayerResult, push: int) -> None:
        span = self._spans.get(push)
        if span is None:
            return
        end = self._now()
        attributes: dict[str, Any] = {
            "oci.digest": str(blob.digest),
            "oci.size": blob.size,
            "idpbuilder.status": blob.status.value,
        }
        if blob.mounted_from:
            attributes["idpbuilder.mounted_from"] = blob.mounted_from
        self._tracer.start_span(
            f"{kind} {blob.status.value}",
            trace.set_span_in_context(span),
            attributes=attributes,
            start_time=end - int(blob.seconds * 1e9),
        ).end(end)

    def _end(self, outcome: PushResult | PushFailure, push: int) -> None:
        span = self._spans.pop(push, None)
        if isinstance(outcome, PushFailure):
            if span is None:
                # it failed before it began
                span = self._tracer.start_span(
                    "push",
                    self._parent,
                    attributes=_image(outcome.image, outcome.reference),
                    start_time=self._now(),
                )
            text = self._secrets.hide(outcome.error.message)
            span.set_attribute("error.type", type(outcome.error).__name__)
            span.set_status(Status(StatusCode.ERROR, text))
        elif span is not None:
            span.set_attributes(
                {
                    "oci.manifest.digest": str(outcome.root.digest),
                    "oci.size": outcome.size,
                    "idpbuilder.bytes_sent": outcome.bytes_sent,
                    "idpbuilder.requests": outcome.requests,
                    "idpbuilder.retries": outcome.retries,
                    "idpbuilder.unchanged": outcome.unchanged,
                }
            )
        if span is not None:
            span.end(self._now())


def exporters_of(environ: Mapping[str, str]) -> list[SpanExporter]:
    """What the variables name. Raises LookupError for an exporter that is not installed."""
    names = (environ.get("OTEL_TRACES_EXPORTER") or "otlp").split(",")
    return [_exporter(name.strip(), environ) for name in names if name.strip() != "none"]


def _exporter(name: str, environ: Mapping[str, str]) -> SpanExporter:
    if name == "otlp":
        protocol = environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environ.get(
            "OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"
        )
        name = _OTLP.get(protocol, protocol)
    for found in entry_points(group=_GROUP, name=name):
        kind = found.load()
        # stdout is for results
        exporter: SpanExporter = kind(out=sys.stderr) if name == "console" else kind()
        return exporter
    raise LookupError(name)


def _resource(environ: Mapping[str, str]) -> Resource:
    # the variables win
    named = "OTEL_SERVICE_NAME" in environ or "service.name" in environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    return Resource.create({} if named else {SERVICE_NAME: _SERVICE})


def _parent(environ: Mapping[str, str]) -> Context:
    """The span of whoever called us, by the variables that CI systems set."""
    carrier = {
        name.lower(): environ[name] for name in ("TRACEPARENT", "TRACESTATE") if name in environ
    }
    return TraceContextTextMapPropagator().extract(carrier)


def _image(image: str, reference: Reference | None) -> dict[str, str]:
    found = {"idpbuilder.image": image}
    if reference is not None:
        found["container.image.name"] = reference.name
        found["oci.reference"] = str(reference)
    return found
