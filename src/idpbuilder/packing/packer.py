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
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from idpbuilder.errors import LocalError
from idpbuilder.packing.codec import Piece, codec_of
from idpbuilder.packing.job import CANCELLED, Block, PackJob
from idpbuilder.packing.layer import RawLayer
from idpbuilder.packing.method import Method
from idpbuilder.packing.spool import Shelf

_MOST_THREADS = 16
_AHEAD = 3
"""Blocks that may wait for their place, beside those that the threads have in hand."""
_MEMORY = 50 * 1024 * 1024
"""Bytes that all which is about may take: with the rest of the process, 96 MiB."""
_PATIENCE = 5.0
"""Seconds that `close` waits: a block of the slowest zstd level takes two."""

Stage = Callable[[str, PackJob], AbstractContextManager[None]]
"""What surrounds a block's stages, `read`, `pack` and `write`, on the thread that does it."""


def unwatched(_stage: str, _job: PackJob) -> AbstractContextManager[None]:
    return nullcontext()


@dataclass(slots=True, eq=False)
class _Line:
    """A job and what is about of it; guarded by the packer's lock."""

    job: PackJob
    is_begun: bool = False
    is_reading: bool = False
    is_committing: bool = False
    ended: bool = False
    next: int = 0
    waiting: dict[int, tuple[Piece | None, bool]] = field(default_factory=dict)


class Packer:
    """Packs layers by `method` on `threads` threads: one a processor, at most 16, and no more than
    there is memory for.

    Layers that are stored compressed stay as they are with `keep`. Spools lie in `folder`.
    `wake` is called, on a packing thread, after a blob grew and after a job ended; it must neither
    block nor raise, and is not called once `close` has begun. Each stage of a block goes on in
    `stage`. All else is for one thread.
    """

    def __init__(
        self,
        method: Method,
        *,
        wake: Callable[[], None],
        keep: bool = True,
        threads: int | None = None,
        folder: str | None = None,
        stage: Stage = unwatched,
    ) -> None:
        self.method = method
        self._stage = stage
        self._wake = wake
        self._keep = keep
        self._folder = folder
        self._shelf = Shelf(folder)
        self._count = threads or min(_processors(), _MOST_THREADS)
        self._threads: list[threading.Thread] = []
        self._ready = threading.Condition()
        self._closing = False
        self._lines: dict[tuple[object, ...], _Line] = {}
        self._unread: list[_Line] = []
        self._busy = 0
        self._waiting = 0
        self._memory = 0
        self._buffers: defaultdict[int, list[bytearray]] = defaultdict(list)

    def pack(self, layer: RawLayer) -> PackJob:
        """Begin to pack a layer; the same layer again is the same job.

        It may have been begun without a diff ID: whoever has one now asks `PackJob.check`.
        Raises LocalError where this machine gives no thread.
        """
        line = self._lines.get(self._key(layer)) or self._begun_early(layer)
        if line is None or (line.job.error is not None and line.job.layer != layer):
            # what another file should have held says nothing of this one
            return self._begin(layer)
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

    def _key(self, layer: RawLayer) -> tuple[object, ...]:
        """What tells a job from another.

        What is packed is a function of the diff ID; what is kept, of the file alone: another tool
        may have packed the same layer into other bytes.
        """
        if layer.diff_id is None:
            return _place(layer)
        if self._keep and layer.stored:
            return (layer.diff_id, *_place(layer))
        return (layer.diff_id,)

    def _begun_early(self, layer: RawLayer) -> _Line | None:
        """The line of a job that began before anybody knew the layer's diff ID."""
        line = self._lines.get(_place(layer))
        if line is None or layer.diff_id is None:
            return line
        # it was hashed by one algorithm, and tells nothing of another's digest
        return line if layer.diff_id.algorithm == "sha256" else None

    def _begin(self, layer: RawLayer) -> PackJob:
        if self._closing:
            raise ValueError("the packer is closed")
        job = PackJob(
            layer,
            self.method,
            keep=self._keep,
            folder=self._folder,
            shelf=self._shelf,
            forget=self._forget,
        )
        self._start(job)
        line = self._lines[self._key(layer)] = _Line(job)
        with self._ready:
            self._unread.append(line)
            self._ready.notify()
        return job

    def _start(self, job: PackJob) -> None:
        # glibc keeps for every thread what that once needed, whether or not it still works
        each = max(codec_of(self.method).in_hand, job.reading_memory)
        while len(self._threads) < max(1, min(self._count, _MEMORY // each)):
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

    def _forget(self, job: PackJob, why: str) -> None:
        key = self._key(job.layer)
        line = self._lines.get(key)
        if line is not None and line.job is job:
            del self._lines[key]
            self._end(line)
            job.spool.fail(why)

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
                    self._memory -= line.job.in_hand
                    self._buffers[len(buffer)].append(buffer)
                    self._ready.notify()

    def _take(self) -> tuple[_Line, bytearray] | None:
        with self._ready:
            while not self._closing:
                line = self._next_line()
                if line is not None:
                    self._memory += self._cost(line)
                    line.is_begun = line.is_reading = True
                    self._busy += 1
                    size = line.job.block_size
                    spare = self._buffers[size]
                    return line, spare.pop() if spare else bytearray(size)
                self._ready.wait()
        return None

    def _next_line(self) -> _Line | None:
        if self._busy + self._waiting >= len(self._threads) + _AHEAD:
            return None
        for line in self._unread:
            if not line.is_reading:
                # where nothing is in hand, nothing would be given back either
                fits = not self._busy or self._memory + self._cost(line) <= _MEMORY
                return line if fits else None
        return None

    def _cost(self, line: _Line) -> int:
        """Bytes of memory that the next block of a line takes."""
        return line.job.in_hand + (0 if line.is_begun else line.job.reading_memory)

    def _turn(self, line: _Line, buffer: memoryview) -> None:
        block = self._read(line, buffer)
        # no name for what comes of it: it would be held while others' blocks are put away
        if not self._is_over(line) and self._hand_in(line, block, self._pack(line, block)):
            self._commit(line)

    def _pack(self, line: _Line, block: Block) -> Piece | None:
        with self._stage("pack", line.job):
            return line.job.pack(block)

    def _read(self, line: _Line, buffer: memoryview) -> Block:
        block = None
        try:
            with self._stage("read", line.job):
                block = line.job.read(buffer)
            return block
        finally:
            with self._ready:
                line.is_reading = False
                if block is None or block.is_last:
                    self._is_read(line)
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
            self._memory += _size(piece)
            if line.is_committing or line.next not in line.waiting:
                return False
            line.is_committing = True
            return True

    def _commit(self, line: _Line) -> None:
        while (taken := self._next_piece(line)) is not None:
            piece, is_last = taken
            with self._stage("write", line.job):
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
            self._memory -= _size(taken[0])
            self._ready.notify()
            return taken

    def _end(self, line: _Line, error: Exception | None = None) -> None:
        with self._ready:
            if line.ended:
                return
            line.ended = True
            self._waiting -= len(line.waiting)
            self._memory -= sum(_size(piece) for piece, _ in line.waiting.values())
            line.waiting.clear()
            self._is_read(line)
            if not line.is_reading:
                line.job.close_reader()
            self._ready.notify_all()
        line.job.settle(error)
        self._tell()

    def _is_read(self, line: _Line) -> None:
        """Nobody reads on in this line; with the lock held, and perhaps not for the first time."""
        if line in self._unread:
            self._unread.remove(line)
            if line.is_begun:
                self._memory -= line.job.reading_memory

    def _tell(self) -> None:
        if not self._closing:
            self._wake()


def _place(layer: RawLayer) -> tuple[object, ...]:
    return layer.region, layer.stored


def _size(piece: Piece | None) -> int:
    return 0 if piece is None else len(piece.data)


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
