"""The threads that pack layers: who does what next, and how much of it lies around meanwhile.

A turn of a thread is one block: read it (one thread a layer), pack it, and put it in its place (in
order; whoever is there puts away what others have ready). Layers are worked in the order given; a
thread that finds the first one being read takes the next, so that none waits for a block while
there is another.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from idpbuilder.errors import LocalError
from idpbuilder.packing.codec import Piece
from idpbuilder.packing.job import CANCELLED, Block, PackJob
from idpbuilder.packing.layer import RawLayer
from idpbuilder.packing.method import Method

_MOST_THREADS = 16
_AHEAD = 3
"""Blocks that may wait for their place, beside those that the threads have in hand."""
_MEMORY = 32 * 1024 * 1024
"""Bytes of the raw blocks that may be about, where blocks are large."""
_PATIENCE = 5.0
"""Seconds that `close` waits: a block of the slowest zstd level takes two."""


@dataclass(slots=True, eq=False)
class _Line:
    """A job and what is about of it; guarded by the packer's lock."""

    job: PackJob
    is_reading: bool = False
    is_committing: bool = False
    ended: bool = False
    next: int = 0
    waiting: dict[int, tuple[Piece | None, bool]] = field(default_factory=dict)


class Packer:
    """Packs layers by `method` on `threads` threads: one a processor, and at most 16.

    Layers that are stored compressed stay as they are with `keep`. Spools lie in `folder`.
    `wake` is called, on a packing thread, after a blob grew and after a job ended; it must neither
    block nor raise, and is not called once `close` has begun. All else is for one thread.
    """

    def __init__(
        self,
        method: Method,
        *,
        wake: Callable[[], None],
        keep: bool = True,
        threads: int | None = None,
        folder: str | None = None,
    ) -> None:
        self.method = method
        self._wake = wake
        self._keep = keep
        self._folder = folder
        self._count = threads or min(_processors(), _MOST_THREADS)
        self._threads: list[threading.Thread] = []
        self._ready = threading.Condition()
        self._closing = False
        self._lines: dict[tuple[object, ...], _Line] = {}
        self._unread: list[_Line] = []
        self._busy = 0
        self._waiting = 0
        self._buffers: defaultdict[int, list[bytearray]] = defaultdict(list)

    def pack(self, layer: RawLayer) -> PackJob:
        """Begin to pack a layer; the same layer again is the same job.

        It may have been begun without a diff ID: whoever has one now asks `PackJob.check`.
        Raises LocalError where this machine gives no thread.
        """
        key = _key(layer)
        # begun early, before anybody knew the layer's diff ID
        line = self._lines.get(key) or self._lines.get(_place(layer))
        if line is None:
            if self._closing:
                raise ValueError("the packer is closed")
            self._start()
            job = PackJob(
                layer, self.method, keep=self._keep, folder=self._folder, cancel=self._forget
            )
            line = self._lines[key] = _Line(job)
            with self._ready:
                self._unread.append(line)
                self._ready.notify()
        return line.job

    def close(self) -> None:
        """Stop all work, end the threads and remove the spools. May be called twice.

        Waits for the blocks that are being packed, a few milliseconds each.
        """
        with self._ready:
            self._closing = True
            self._ready.notify_all()
        until = time.monotonic() + _PATIENCE
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        for line in self._lines.values():
            self._end(line)
            line.job.spool.fail(CANCELLED)
        self._lines.clear()

    def _start(self) -> None:
        while len(self._threads) < self._count:
            name = f"packing-{len(self._threads) + 1}"
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            try:
                thread.start()
            except RuntimeError as error:
                if self._threads:
                    return
                hint = "raise the limit on processes (`ulimit -u`)"
                raise LocalError("no thread can be started", str(error), hint) from error
            self._threads.append(thread)

    def _forget(self, job: PackJob) -> None:
        line = self._lines.get(_key(job.layer))
        if line is not None and line.job is job:
            del self._lines[_key(job.layer)]
            self._end(line)
            job.spool.fail(CANCELLED)

    def _work(self) -> None:
        while (taken := self._take()) is not None:
            line, buffer = taken
            try:
                self._turn(line, memoryview(buffer))
            except Exception as error:
                # where it is `wake` that raises it does so again, and the thread must live
                with contextlib.suppress(Exception):
                    self._end(line, error)
            finally:
                with self._ready:
                    self._busy -= 1
                    self._buffers[len(buffer)].append(buffer)
                    self._ready.notify()

    def _take(self) -> tuple[_Line, bytearray] | None:
        with self._ready:
            while not self._closing:
                line = self._next_line()
                if line is not None:
                    line.is_reading = True
                    self._busy += 1
                    size = line.job.block_size
                    spare = self._buffers[size]
                    return line, spare.pop() if spare else bytearray(size)
                self._ready.wait()
        return None

    def _next_line(self) -> _Line | None:
        about = self._busy + self._waiting
        for line in self._unread:
            if not line.is_reading:
                most = min(self._count + _AHEAD, _MEMORY // line.job.block_size)
                return line if about < most else None
        return None

    def _turn(self, line: _Line, buffer: memoryview) -> None:
        block = self._read(line, buffer)
        if not self._is_over(line):
            piece = line.job.pack(block)
            if self._hand_in(line, block, piece):
                self._commit(line)

    def _read(self, line: _Line, buffer: memoryview) -> Block:
        block = None
        try:
            block = line.job.read(buffer)
            return block
        finally:
            with self._ready:
                line.is_reading = False
                if (block is None or block.is_last) and line in self._unread:
                    self._unread.remove(line)
                if line.ended:
                    line.job.close_reader()
                self._ready.notify()

    def _is_over(self, line: _Line) -> bool:
        return self._closing or line.ended

    def _hand_in(self, line: _Line, block: Block, piece: Piece | None) -> bool:
        """Leave a packed block for its place; whether nobody else is at putting them there."""
        with self._ready:
            if line.ended:
                return False
            line.waiting[block.number] = piece, block.is_last
            self._waiting += 1
            if line.is_committing or line.next not in line.waiting:
                return False
            line.is_committing = True
            return True

    def _commit(self, line: _Line) -> None:
        while (taken := self._next_piece(line)) is not None:
            piece, is_last = taken
            line.job.commit(piece, is_last=is_last)
            if is_last:
                self._end(line)
            else:
                self._tell()

    def _next_piece(self, line: _Line) -> tuple[Piece | None, bool] | None:
        with self._ready:
            taken = None if self._is_over(line) else line.waiting.pop(line.next, None)
            if taken is None:
                line.is_committing = False
                return None
            line.next += 1
            self._waiting -= 1
            self._ready.notify()
            return taken

    def _end(self, line: _Line, error: Exception | None = None) -> None:
        with self._ready:
            if line.ended:
                return
            line.ended = True
            self._waiting -= len(line.waiting)
            line.waiting.clear()
            if line in self._unread:
                self._unread.remove(line)
            if not line.is_reading:
                line.job.close_reader()
            self._ready.notify_all()
        line.job.settle(error)
        self._tell()

    def _tell(self) -> None:
        if not self._closing:
            self._wake()


def _key(layer: RawLayer) -> tuple[object, ...]:
    return _place(layer) if layer.diff_id is None else (layer.diff_id,)


def _place(layer: RawLayer) -> tuple[object, ...]:
    return layer.region, layer.stored


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
