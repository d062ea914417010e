"""What an engine may be told."""

from __future__ import annotations

from dataclasses import dataclass

from idpbuilder import __version__


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How many connections, how long to wait, how fast to send.

    `connections`: requests at once to one scheme, host and port, what is beyond waits its turn;
    None: as many as pay there.
    `connect_seconds`: for the name, the connection and the TLS handshake together.
    `stall_seconds`: without a byte moving, while a body is sent or an answer received.
    `answer_seconds`: for the first byte of an answer once the request is out, and one second more
    for each `commit_rate` bytes of its body, which the registry has yet to digest and store.
    `limit_rate`: body bytes per second over all requests together; None without limit.
    `timed`: whether completions say where their time went.
    """

    connections: int | None = None
    connect_seconds: float = 20.0
    stall_seconds: float = 60.0
    answer_seconds: float = 60.0
    commit_rate: int = 4_000_000
    limit_rate: int | None = None
    timed: bool = False
    user_agent: str = f"idpbuilder-push/{__version__}"
