"""Pushes and blobs as OpenTelemetry spans."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

pytest.importorskip("opentelemetry.sdk", reason="the extra `otel` is not installed")

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from idpbuilder.cli.spans import SpansReport, exporters_of
from idpbuilder.errors import Unauthorized
from idpbuilder.push.events import ConfigEnded, Event, Progress, Warned
from idpbuilder.redact import Secrets
from tests.cli.conftest import Spawn
from tests.cli.fakes import PUSHED, REFERENCE, events_of, failure, result

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@dataclass
class Quiet:
    """A reporter that keeps what it is told."""

    events: list[Event] = field(default_factory=list)
    wants_notes: bool = False
    interval: float | None = None

    def emit(self, event: Event, push: int = 0) -> None:
        self.events.append(event)

    def progress(self, progress: Progress) -> None:
        """Nothing."""


class Spans:
    """The spans of what a report is told, on a clock that counts events."""

    def __init__(self, environ: dict[str, str] | None = None) -> None:
        self.exporter = InMemorySpanExporter()
        self.quiet = Quiet()
        self.clock = 10**18
        secrets = Secrets()
        secrets.add("s3cret")
        self.report = SpansReport(
            self.quiet, [self.exporter], environ or {}, secrets, now=self.tick
        )

    def tick(self) -> int:
        self.clock += 10**9
        return self.clock

    def of(self, *events: Event) -> list[ReadableSpan]:
        for event in events:
            self.report.emit(event, 1)
        self.report.close()
        return list(self.exporter.get_finished_spans())


def test_a_push_is_a_span_and_each_blob_one_below_it() -> None:
    *blobs, push = Spans().of(*events_of(result())[:-1], ConfigEnded(PUSHED[0]), result())
    assert push.name == "push registry.example.com/repo/myimage"
    assert push.attributes is not None
    assert push.attributes["oci.reference"] == str(REFERENCE)
    assert push.attributes["idpbuilder.bytes_sent"] == 2_500_600
    assert push.status.status_code is StatusCode.UNSET
    names = ["layer pushed", "layer exists", "layer mounted", "config pushed"]
    assert [blob.name for blob in blobs] == names
    assert push.context is not None
    for blob in blobs:
        assert blob.parent is not None
        assert blob.parent.span_id == push.context.span_id
        assert blob.start_time is not None
        assert blob.end_time is not None
        assert blob.end_time - blob.start_time == 500_000_000
    assert blobs[2].attributes is not None
    assert blobs[2].attributes["idpbuilder.mounted_from"] == "team/base"


def test_a_failure_is_an_error_that_holds_no_secret() -> None:
    error = Unauthorized("cannot push", "the registry said s3cret", "sign in")
    (span,) = Spans().of(*events_of(failure(error)))
    assert span.status.status_code is StatusCode.ERROR
    assert "cannot push" in str(span.status.description)
    assert "s3cret" not in span.to_json()


def test_a_push_that_was_stopped_is_an_error_too() -> None:
    (span,) = Spans().of(events_of(result())[0])
    assert span.status.status_code is StatusCode.ERROR


def test_the_caller_s_span_is_the_parent() -> None:
    *_, push = Spans({"TRACEPARENT": PARENT}).of(*events_of(result()))
    assert push.context is not None
    assert f"{push.context.trace_id:032x}" == PARENT.split("-")[1]


def test_every_event_reaches_the_other_reporter() -> None:
    spans = Spans()
    spans.of(*events_of(result()))
    assert spans.quiet.events == events_of(result())


def test_an_exporter_that_is_not_there_is_an_error() -> None:
    assert exporters_of({"OTEL_TRACES_EXPORTER": "none"}) == []
    with pytest.raises(LookupError):
        exporters_of({"OTEL_TRACES_EXPORTER": "nowhere"})


class Collector(http.server.ThreadingHTTPServer):
    """Takes spans by HTTP; `status` is what it answers."""

    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.received: list[ExportTraceServiceRequest] = []


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = ExportTraceServiceRequest()
        if self.headers.get("Content-Encoding") is None:
            request.ParseFromString(body)
        self.server.received.append(request)
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_texts: object) -> None:
        """Nothing."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def variables(collector: Collector) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_address[1]}"}


def test_the_standard_variables_send_the_spans_to_a_collector(
    spawn: Spawn, collector: Collector
) -> None:
    answer = spawn("tests.cli.fakes", "pushed", "image", environ=variables(collector))
    assert (answer.returncode, answer.stderr) == (0, "")
    spans: list[Any] = [
        span
        for request in collector.received
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    assert len(spans) == 1 + len(PUSHED)
    (resource,) = {
        value.value.string_value
        for request in collector.received
        for found in request.resource_spans
        for value in found.resource.attributes
        if value.key == "service.name"
    }
    assert resource == "idpbuilder-push"


def test_a_collector_that_refuses_is_a_warning_and_the_push_succeeds(
    spawn: Spawn, collector: Collector
) -> None:
    collector.status = 400
    answer = spawn("tests.cli.fakes", "pushed", "image", environ=variables(collector))
    assert answer.returncode == 0
    assert answer.stderr.startswith("Warning: OpenTelemetry: the spans could not all be sent")
    assert len(answer.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "true"},
    ],
)
def test_unless_spans_are_asked_for_nothing_of_it_is_loaded(
    spawn: Spawn, variables: dict[str, str]
) -> None:
    answer = spawn(
        "tests.cli.fakes", "pushed", "image", environ={"PYTHONPROFILEIMPORTTIME": "1", **variables}
    )
    assert "idpbuilder.cli.view" in answer.stderr
    assert "opentelemetry" not in answer.stderr
    assert "idpbuilder.cli.spans" not in answer.stderr


def test_the_warning_is_an_event() -> None:
    spans = Spans()
    spans.report._heard[0].failed = True
    spans.of()
    assert isinstance(spans.quiet.events[-1], Warned)
