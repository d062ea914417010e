"""Runs commands for the bench and tells what each took: a line of JSON in, one out.

A process's peak memory is never below that of the one it was split off from. So this one stays
small: it is run by itself (`python -I -S`), and imports next to nothing.
"""

import json
import os
import sys
import time
from collections.abc import Callable

POLL_SECONDS = 0.002
"""How often open files are counted."""


def run(
    command: list[str], environ: dict[str, str], said: str, *, files: bool = False
) -> dict[str, float]:
    """Seconds on the wall and of CPU, peak memory in MiB, the exit code; stderr goes to `said`.

    With `files` also how many files were open at most, where the system tells.
    """
    null = os.open(os.devnull, os.O_RDWR)
    errors = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    moves = [(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, null, 1),
             (os.POSIX_SPAWN_DUP2, errors, 2)]  # fmt: skip
    began = time.perf_counter()
    process = os.posix_spawnp(command[0], command, environ, file_actions=moves)
    most = most_files(process, lambda: time.sleep(POLL_SECONDS)) if files else 0
    _, status, usage = os.wait4(process, 0)
    seconds = time.perf_counter() - began
    os.close(null)
    os.close(errors)
    # macOS counts bytes, Linux KiB
    unit = 1024 * 1024 if sys.platform == "darwin" else 1024
    counted = {"files": most} if most else {}
    return {
        **counted,
        "seconds": seconds,
        "cpu": usage.ru_utime + usage.ru_stime,
        "memory": usage.ru_maxrss / unit,
        "exit": os.waitstatus_to_exitcode(status),
    }


def most_files(process: int, pause: Callable[[], None]) -> int:
    """How many files a process has open at most, until it ends; 0 where the system does not tell.

    It is there to be waited for still.
    """
    most = 0
    while os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        try:
            most = max(most, len(os.listdir(f"/proc/{process}/fd")))
        except OSError:
            # it has ended meanwhile, or there is no such folder here
            break
        pause()
    return most


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(run(**json.loads(line))), flush=True)
