"""Small words for talking to machines that do no I/O."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

from idpbuilder.image import Digest
from idpbuilder.registry.call import Call, Machine
from idpbuilder.registry.endpoints import Endpoint
from idpbuilder.wire import FailureKind, Headers, Response, TransportFailure

ENDPOINT = Endpoint("https", "registry.example.com")
BASE = "https://registry.example.com/v2/team/app"
DIGEST = Digest.of(b"a layer")
BROKEN = TransportFailure(FailureKind.BROKEN, "the connection was reset")
UNUSABLE = TransportFailure(FailureKind.SETUP, "the URL is malformed")


def answer(
    status: int,
    *,
    url: str = f"{BASE}/blobs/uploads/",
    code: str = "",
    body: bytes = b"",
    **headers: str,
) -> Response:
    """An answer; `code` is a diagnostic of the specification, header names have `_` for `-`."""
    if code:
        body = json.dumps({"errors": [{"code": code, "message": "m"}]}).encode()
    fields = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return Response(status, Headers(fields), body, url)


def line(call: Call) -> str:
    """The request line of a call."""
    return f"{call.request.method} {call.request.url}"


def asks(machine: Machine) -> str:
    """The request line of what the machine sends next."""
    return line(machine.next_call())


def meet(machine: Machine, happening: Response | TransportFailure) -> None:
    """Send what the machine sends next, and have it get an answer or, after all was sent, none."""
    body = machine.next_call().request.body
    if isinstance(happening, Response):
        machine.receive(happening)
    else:
        machine.transfer_failed(happening, (body.size or 0) if body else 0)


def finish(inquiry: Generator[Call, Response, Any], *answers: Response) -> tuple[list[str], Any]:
    """The request lines of an inquiry that gets `answers`, and what it returns."""
    lines = [line(next(inquiry))]
    for number, given in enumerate(answers):
        try:
            lines.append(line(inquiry.send(given)))
        except StopIteration as stop:
            assert number == len(answers) - 1, "the inquiry ended before the last answer"
            return lines, stop.value
    raise AssertionError(f"the inquiry wants more: {lines}")
