"""A registry far away: a proxy that delays each direction by half a round trip.

A TCP handshake across it costs a round trip too: nothing is passed on before one has gone by.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

_CHUNK = 256 * 1024


@contextmanager
def at_a_distance(port: int, round_trip: float) -> Iterator[int]:
    """A loopback port from which `port` is `round_trip` seconds away."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_serve, args=(port, round_trip, there), daemon=True)
    process.start()
    try:
        yield int(here.recv())
    finally:
        process.terminate()
        process.join()


def _serve(port: int, round_trip: float, parent: Connection) -> None:
    asyncio.run(_Proxy(port, round_trip).run(parent))


class _Proxy:
    def __init__(self, port: int, round_trip: float) -> None:
        self._port = port
        self._delay = round_trip / 2

    async def run(self, parent: Connection) -> None:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=_CHUNK)
        parent.send(server.sockets[0].getsockname()[1])
        async with server:
            await server.serve_forever()

    async def _accept(self, near: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        far, far_out = await asyncio.open_connection("127.0.0.1", self._port, limit=_CHUNK)
        await asyncio.sleep(2 * self._delay)
        await asyncio.gather(self._pass_on(near, far_out), self._pass_on(far, near_out))

    async def _pass_on(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        """Bytes arrive in their order, each `delay` after it was sent."""
        loop = asyncio.get_running_loop()
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def deliver() -> None:
            data = b"-"
            while data:
                due, data = await under_way.get()
                await asyncio.sleep(due - loop.time())
                target.write(data)
                await target.drain()
            target.close()

        delivery = asyncio.create_task(deliver())
        try:
            while data := await source.read(_CHUNK):
                under_way.put_nowait((loop.time() + self._delay, data))
        except ConnectionError:
            pass
        under_way.put_nowait((loop.time() + self._delay, b""))
        try:
            await delivery
        except ConnectionError:
            target.close()
