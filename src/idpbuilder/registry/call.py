"""A request of the protocol together with what its sender must know about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from idpbuilder.registry.retry import Setback
from idpbuilder.registry.scope import Scope
from idpbuilder.wire import Request, Response, TransportFailure


@dataclass(frozen=True, slots=True)
class Call:
    """`scopes` are the rights that its token needs, the push scope first. A `lenient` call's 401
    is an answer like any other: its sender has another way, so it is no failure to sign in.
    """

    request: Request
    scopes: tuple[Scope, ...]
    lenient: bool = False


class Machine(Protocol):
    """A piece of the protocol that says what to send next and learns what came of it. It does no
    I/O.

    `receive` and `transfer_failed` answer None where the machine goes on, or a Setback where what
    it sends next is another try; they raise a PushError where there is none.
    """

    @property
    def what(self) -> str:
        """What the machine is doing, for errors and notes."""

    @property
    def step(self) -> str:
        """The name of its state: tries are counted for each."""

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to send."""

    def next_call(self) -> Call:
        """What to send now."""

    def receive(self, response: Response) -> Setback | None:
        """The answer to `next_call`, its body sent whole."""

    def transfer_failed(self, failure: TransportFailure, sent: int = 0) -> Setback | None:
        """`next_call` got no answer, or one that came before its body was sent whole; `sent` bytes
        of that were handed over.
        """
