"""Running a program of which nothing is known: not how long it takes, nor how much it says."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO

OUT_LIMIT = 1024 * 1024
"""Bytes of a longer answer than any that is meant."""
_ERR_KEPT = 4096
_LOOK_EVERY = 0.05
_CHUNK = 65536
_CHUNKS_AT_ONCE = 32
"""What a pipe holds at most, and not more: who never stops writing must not keep us there."""


class ProgramFailed(Exception):
    """Why there is no answer, as the end of a sentence that begins with the program's name."""


@dataclass(slots=True)
class Ended:
    """What a program came to: `code` is negative where a signal ended it. `err` is the beginning of
    what it wrote to stderr.
    """

    code: int = 0
    out: bytearray = field(default_factory=bytearray)
    err: bytearray = field(default_factory=bytearray)

    @property
    def err_is_cut(self) -> bool:
        """Whether it may have written more to stderr."""
        return len(self.err) >= _ERR_KEPT


def run(
    command: list[str],
    given: bytes,
    environ: Mapping[str, str],
    patience: float,
    check: Callable[[], None],
) -> Ended:
    """Run `command` with `given` on its standard input, for at most `patience` seconds.

    Raises ProgramFailed where it cannot be started, takes too long, or says more than OUT_LIMIT
    bytes; `check` may raise too. Then the program is killed with whatever it started; of a program
    that may ask on our terminal, the program alone.
    """
    # a session of its own has no terminal, and a group of its own may not read from ours
    alone = not _in_the_foreground()
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environ,
            start_new_session=alone,
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ProgramFailed(f"it cannot be started ({reason.lower()})") from error
    # waits for nobody: it is killed first where it did not end by itself
    with process:
        try:
            return _converse(process, given, patience, check)
        except BaseException:
            with suppress(ProcessLookupError, PermissionError):
                if alone:
                    os.killpg(process.pid, signal.SIGKILL)
                else:
                    process.kill()
            raise


def _in_the_foreground() -> bool:
    """Whether there is a terminal on which a user could be asked."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def _converse(
    process: subprocess.Popen[bytes], given: bytes, patience: float, check: Callable[[], None]
) -> Ended:
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    with suppress(BrokenPipeError):
        # it is less than a pipe holds
        process.stdin.write(given)
        process.stdin.flush()
    with suppress(BrokenPipeError):
        process.stdin.close()
    ended = Ended()
    until = time.monotonic() + patience
    with selectors.DefaultSelector() as selector:
        for stream in (process.stdout, process.stderr):
            os.set_blocking(stream.fileno(), False)
            selector.register(stream, selectors.EVENT_READ)
        while True:
            # before the pipes are read: what it wrote before it ended is in them then. Others that
            # it left running may hold them open, and are not waited for
            code = process.poll()
            for stream in (process.stdout, process.stderr):
                if stream in selector.get_map() and _drained(stream, process, ended):
                    selector.unregister(stream)
            # Ctrl-C may have ended both of us
            check()
            if code is not None:
                ended.code = code
                return ended
            if time.monotonic() >= until:
                raise ProgramFailed(f"it did not answer within {patience:g} s")
            selector.select(_LOOK_EVERY)


def _drained(stream: IO[bytes], process: subprocess.Popen[bytes], ended: Ended) -> bool:
    """Take in what is there to be read; whether that was the last of it."""
    for _ in range(_CHUNKS_AT_ONCE):
        try:
            chunk = os.read(stream.fileno(), _CHUNK)
        except BlockingIOError:
            return False
        if not chunk:
            return True
        if stream is process.stdout:
            ended.out += chunk
            if len(ended.out) > OUT_LIMIT:
                raise ProgramFailed(f"it answered with more than {OUT_LIMIT} bytes")
        else:
            ended.err += chunk[: max(_ERR_KEPT - len(ended.err), 0)]
    return False
