"""What crosses between deciding and doing: requests, bodies, answers, and the engine that moves
them.

The protocol (`registry/`) makes `Request`s and judges `Response`s without any I/O;
an `Engine` (`transport/`) moves the bytes and judges nothing.
"""

from idpbuilder.wire.body import Body, BodyReader, BytesBody, PartBody, Region, RegionBody, Sink
from idpbuilder.wire.engine import Completion, Engine, FailureKind, TransportFailure
from idpbuilder.wire.message import Headers, Request, Response, Timing, Trust

__all__ = [
    "Body",
    "BodyReader",
    "BytesBody",
    "Completion",
    "Engine",
    "FailureKind",
    "Headers",
    "PartBody",
    "Region",
    "RegionBody",
    "Request",
    "Response",
    "Sink",
    "Timing",
    "TransportFailure",
    "Trust",
]
