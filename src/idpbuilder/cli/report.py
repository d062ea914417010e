"""The lines a person reads: progress on stderr, the result on stdout."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final, Protocol

from idpbuilder.cli.failure import failure_text, told
from idpbuilder.cli.streams import Stream, one_line
from idpbuilder.image import Reference
from idpbuilder.push.events import (
    Chosen,
    ConfigEnded,
    Event,
    LayerEnded,
    ManifestEnded,
    Note,
    Progress,
    PushStarted,
    RunEnded,
    RunStarted,
    Warned,
)
from idpbuilder.push.result import BlobStatus, LayerResult, PushFailure, PushResult
from idpbuilder.redact import Secrets

_UNITS: Final = ("kB", "MB", "GB", "TB", "PB", "EB")
_TICK: Final = "\N{CHECK MARK}"
_PLAIN_TICK: Final = "+"


@dataclass(frozen=True, slots=True)
class Shown:
    """What a user wants to see; with `digest_only` a result is the digest reference alone."""

    progress: bool
    notes: bool = False
    warnings: bool = True
    results: bool = True
    digest_only: bool = False


class Sink(Protocol):
    """Where lines for stderr go."""

    def line(self, text: str) -> None:
        """Write `text` and an end of line."""

    def can_say(self, text: str) -> bool:
        """Whether the encoding has `text`."""


class TextReport:
    """A Reporter that prints lines: results to `out`, the rest to `err`.

    Of several pushes, which run at once, the lines of each come together when it is over.
    """

    def __init__(self, out: Stream, err: Sink, shown: Shown, secrets: Secrets) -> None:
        self._out = out
        self._secrets = secrets
        self._err = err
        self._shown = shown
        self._tick = _TICK if err.can_say(_TICK) else _PLAIN_TICK
        self._manifests: dict[int, BlobStatus] = {}
        self._pushes = 0
        self._held: dict[int, list[str]] = {}
        self._last_hint = ""

    @property
    def wants_notes(self) -> bool:
        """Whether `--verbose` was asked for."""
        return self._shown.notes

    @property
    def interval(self) -> float | None:
        """None: lines come with events, not with time."""
        return None

    def emit(self, event: Event, push: int = 0) -> None:
        """Print what the event says, where it is wanted."""
        if isinstance(event, Note):
            if self._shown.notes:
                self._err.line(self._numbered(told(event.text, self._secrets), push))
        elif isinstance(event, Warned):
            if self._shown.warnings:
                self._err.line(f"Warning: {told(event.text, self._secrets)}")
        elif isinstance(event, PushFailure):
            self._release(push)
            self._failure(event)
        elif isinstance(event, PushResult):
            self._release(push)
            self._result(event, self._manifests.pop(push, BlobStatus.WOULD_PUSH))
        elif isinstance(event, RunStarted):
            self._pushes = event.pushes
        elif isinstance(event, RunEnded):
            if self._shown.progress:
                self._err.line(summary(event))
        elif not isinstance(event, ConfigEnded):
            if isinstance(event, ManifestEnded):
                self._manifests[push] = event.status
            if self._shown.progress:
                self._progress_line(event, push)

    def _numbered(self, text: str, push: int) -> str:
        return f"[{push}/{self._pushes}] {text}" if self._pushes and push else text

    def _line(self, text: str, push: int) -> None:
        """A line about a push: now, or together with the others about it."""
        if self._pushes and push:
            self._held.setdefault(push, []).append(text)
        else:
            self._err.line(text)

    def _release(self, push: int) -> None:
        for text in self._held.pop(push, ()):
            self._err.line(text)

    def _failure(self, failure: PushFailure) -> None:
        text = failure_text(failure.error, self._secrets)
        if self._pushes and failure.reference is not None:
            where = one_line(f"`{failure.image}` to `{failure.reference}`")
            text = text.replace("Error: ", f"Error: {where}: ", 1)
        if self._pushes and failure.error.hint == self._last_hint:
            # a registry that is down fails every image in the same way
            text = text.partition("\n")[0]
        self._last_hint = failure.error.hint
        self._err.line(text)

    def progress(self, progress: Progress) -> None:
        """Nothing: between events there is no line to print."""

    def _progress_line(
        self, event: Chosen | PushStarted | LayerEnded | ManifestEnded, push: int
    ) -> None:
        if isinstance(event, Chosen):
            self._err.line(told(event.text, self._secrets))
        elif isinstance(event, PushStarted):
            verb, to = ("Checking", "against") if event.dry_run else ("Pushing", "to")
            if not event.again:
                image = one_line(event.image)
                self._line(f"{verb} image {image} {to} {place(event.reference)}...", push)
        elif isinstance(event, LayerEnded) and not _planned(event.layer.status):
            how = f"{_layer_words(event.layer)} ({size_text(event.layer.size)})"
            self._line(f"{self._tick} Layer {event.number}/{event.total} {how}", push)
        elif isinstance(event, ManifestEnded) and not _planned(event.status):
            how = "exists" if event.status is BlobStatus.EXISTS else "pushed successfully"
            self._line(f"{self._tick} Manifest {how}", push)

    def _result(self, result: PushResult, manifest: BlobStatus) -> None:
        if not self._shown.results:
            return
        if self._shown.digest_only:
            self._out.line(digest_reference(result))
        elif result.dry_run:
            for line in plan(result, manifest):
                self._out.line(line)
        else:
            self._out.line(f"Image pushed: {result.reference}")


def summary(event: RunEnded) -> str:
    """What came of several pushes, in a line."""
    results = [one for one in event.outcomes if isinstance(one, PushResult)]
    unchanged = sum(one.unchanged for one in results)
    rehearsed = any(one.dry_run for one in results)
    images = _counted(
        (len(results) - unchanged, "would be pushed" if rehearsed else "pushed"),
        (unchanged, "unchanged"),
        (len(event.outcomes) - len(results), "failed"),
        (event.left, "not tried"),
    )
    how = Counter(layer.status for one in results for layer in one.layers)
    layers = _counted(
        (how[BlobStatus.PUSHED], "pushed"),
        (how[BlobStatus.MOUNTED], "mounted"),
        (how[BlobStatus.EXISTS], "existed"),
        (how[BlobStatus.WOULD_PUSH], "would be pushed"),
        (how[BlobStatus.WOULD_MOUNT], "would be mounted"),
    )
    sent = sum(_to_send(one) if rehearsed else one.bytes_sent for one in results)
    saved = size_text(max(sum(one.size for one in results) - sent, 0))
    bytes_words = f"{size_text(sent)} {'to send' if rehearsed else 'sent'}, {saved} saved"
    parts = [
        f"{len(event.outcomes) + event.left} pushes: {images}",
        f"layers: {layers}" if layers else "",
        f"{bytes_words}, {event.seconds:.1f} s",
    ]
    return "; ".join(part for part in parts if part)


def _to_send(result: PushResult) -> int:
    """Bytes that a rehearsal found missing: what is neither a layer nor there is small."""
    return sum(one.size for one in result.layers if one.status is BlobStatus.WOULD_PUSH)


def _counted(*counts: tuple[int, str]) -> str:
    return ", ".join(f"{count} {word}" for count, word in counts if count)


def plan(result: PushResult, manifest: BlobStatus) -> list[str]:
    """What a dry run found, in manifest order."""
    total = len(result.layers)
    lines = [
        f"- Layer {number}/{total} {_layer_words(layer)} ({size_text(layer.size)})"
        for number, layer in enumerate(result.layers, 1)
    ]
    if manifest is BlobStatus.EXISTS:
        return [*lines, "- Manifest exists", f"Nothing to push: {result.reference}"]
    pushed = [layer for layer in result.layers if layer.status is BlobStatus.WOULD_PUSH]
    layers = f"{len(pushed)} of {total} layer{'' if total == 1 else 's'}"
    size = size_text(sum(layer.size for layer in pushed))
    return [
        *lines,
        "- Manifest would be pushed",
        f"Would push: {result.reference} ({layers}, {size})",
    ]


def size_text(size: int) -> str:
    """`size` bytes in SI units, as `173 B` or `2.5 kB`."""
    if size < 1000:
        return f"{size} B"
    value, unit = size / 1000, 0
    # what would be rounded up to 1000.0 belongs to the next unit
    while value >= 999.95 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.1f} {_UNITS[unit]}"


def place(reference: Reference) -> str:
    """Where the image goes, without the last component of its name."""
    return reference.name.rpartition("/")[0] or reference.name


def digest_reference(result: PushResult) -> str:
    """The name and the digest that the image has now."""
    return f"{result.reference.name}@{result.root.digest}"


def _planned(status: BlobStatus) -> bool:
    return status in (BlobStatus.WOULD_PUSH, BlobStatus.WOULD_MOUNT)


def _layer_words(layer: LayerResult) -> str:
    origin = f" from {layer.mounted_from}" if layer.mounted_from else ""
    return {
        BlobStatus.PUSHED: "pushed",
        BlobStatus.EXISTS: "exists",
        BlobStatus.MOUNTED: f"mounted{origin}",
        BlobStatus.WOULD_PUSH: "would be pushed",
        BlobStatus.WOULD_MOUNT: f"would be mounted{origin}",
    }[layer.status]
