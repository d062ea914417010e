"""Ports that are no registry: what a wrong address may lead to."""

from __future__ import annotations

import socket

from tests.parts.exchange import Exchange
from tests.parts.http_server import HttpServer
from tests.parts.server import Server


class EmptyHttp(HttpServer):
    """Speaks HTTP, or with a certificate TLS only, and answers 404 to everything."""

    def handle(self, exchange: Exchange) -> None:
        exchange.read_body()
        exchange.answer(404, "404 page not found\n", {"Content-Type": "text/plain"})


class ClosesAtOnce(Server):
    """Takes a connection and hangs up."""

    def serve(self, connection: socket.socket) -> None:
        return


class NeverAnswers(Server):
    """Takes a connection, and nothing more."""

    def serve(self, connection: socket.socket) -> None:
        self.ended.wait()


def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
