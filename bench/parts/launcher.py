"""Runs commands for the bench and tells what each took: a line of JSON in, one out.

A process's peak memory is never below that of the one it was split off from. So this one stays
small: it is run by itself (`python -I -S`), and imports next to nothing.
"""

import json
import os
import sys
import time


def run(command: list[str], environ: dict[str, str], said: str) -> dict[str, float]:
    """Seconds on the wall and of CPU, peak memory in MiB, the exit code; stderr goes to `said`."""
    null = os.open(os.devnull, os.O_RDWR)
    errors = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    moves = [(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, null, 1),
             (os.POSIX_SPAWN_DUP2, errors, 2)]  # fmt: skip
    began = time.perf_counter()
    process = os.posix_spawnp(command[0], command, environ, file_actions=moves)
    _, status, usage = os.wait4(process, 0)
    seconds = time.perf_counter() - began
    os.close(null)
    os.close(errors)
    # macOS counts bytes, Linux KiB
    unit = 1024 * 1024 if sys.platform == "darwin" else 1024
    return {
        "seconds": seconds,
        "cpu": usage.ru_utime + usage.ru_stime,
        "memory": usage.ru_maxrss / unit,
        "exit": os.waitstatus_to_exitcode(status),
    }


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(run(**json.loads(line))), flush=True)
