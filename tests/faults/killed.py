"""A push that is killed, and the same command again."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field

from tests.faults.pushes import Image, Pushes
from tests.parts.fault_proxy import Fault, FaultProxy, Passing
from tests.parts.proxy_faults import Call

LARGE = 1_000_000
"""Bytes of a body in whose middle it is worth killing."""


@dataclass(slots=True)
class Killed:
    """`first` and `second` are the exit codes of the two runs.

    `before` and `sent` count the bytes of bodies until it was killed, and in both runs.
    """

    first: int
    second: int
    before: int
    sent: int
    problems: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _First:
    """Meets the first request for `place`, of those with a body one with a large one."""

    fault: Fault
    place: str
    met: bool = False

    def meets(self, passing: Passing, number: int) -> bool:
        """Whether it is this one."""
        small = passing.place == "send" and (passing.length or 0) < LARGE
        self.met, before = self.met or (passing.place == self.place and not small), self.met
        return self.met and not before


def killed_push(pushes: Pushes, image: Image, place: str, permille: int, name: str = "") -> Killed:
    """Push `image`, kill that in the middle of a request for `place`, and push it again.

    `name` tells it from other pushes of the image.
    """
    running: list[subprocess.Popen[str]] = []
    name = f"{image.name}{name}"
    home, below = pushes.home(f"killed-{name}"), f"killed/{name}"

    def kill() -> None:
        # it may have been asked before this process knows of it
        while not running:
            proxy.ended.wait(0.001)
        running[0].kill()

    with FaultProxy(pushes.registry.port, _First(Call(kill, permille), place)) as proxy:
        running.append(pushes.start(home, image.path, f"{proxy.url}/{below}"))
        running[0].communicate(timeout=60)
        before = proxy.body_bytes
        again = pushes.command(home, image.path, f"{proxy.url}/{below}")
        found = Killed(running[0].returncode, again.returncode, before, proxy.body_bytes)
    if again.returncode or again.stderr:
        found.problems.append(f"exit code {again.returncode}: {again.stderr}")
    if left := [path.name for path in (home / "tmp").iterdir()]:
        found.problems.append(f"left in the temporary folder: {left}")
    try:
        pushes.check_whole(f"{below}/app", image, home / "copy")
    except (AssertionError, KeyError) as error:
        found.problems.append(f"it is not whole: {error}")
    return found
