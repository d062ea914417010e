"""Servers of ours, written in Go: the registry that keeps nothing, and the distance to one."""

from __future__ import annotations

import http.client
import json
import subprocess
from types import TracebackType

from bench.parts.cost import Sample
from bench.parts.tools import compiled


class Served:
    """One of the programs in `go/` while it runs; `ports` by name. Raises Missing without Go."""

    def __init__(self, name: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [compiled(name), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"`{name}` did not come up")
        self.ports: dict[str, int] = json.loads(line)

    def __enter__(self) -> Served:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # it ends with its stdin, whatever becomes of this process
        self._process.communicate()

    def counts(self) -> Sample:
        """What it has counted since it was reset; `POST` and so on are how often each came."""
        counts = json.loads(self._ask("GET"))
        methods = counts.pop("methods", {})
        return {**counts, **methods}

    def reset(self) -> None:
        """Count anew."""
        self._ask("DELETE")

    def _ask(self, method: str) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["control"], timeout=10)
        connection.request(method, "/")
        answer = connection.getresponse().read()
        connection.close()
        return answer
