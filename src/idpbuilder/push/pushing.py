"""One image on its way to one destination: blobs, then manifests, then the tag."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeVar

from idpbuilder.errors import BlobsMissing, ContentRefused, ImageInvalid
from idpbuilder.image import Index
from idpbuilder.push.destination import Destination
from idpbuilder.push.events import LayerEnded, ManifestEnded, Note, Progress, PushStarted, Reporter
from idpbuilder.push.local import LocalBlob
from idpbuilder.push.plan import PlannedBlob, plan_image
from idpbuilder.push.result import BlobStatus, LayerResult, PushResult
from idpbuilder.push.session import RegistrySession
from idpbuilder.push.tasks import Loop, Steps, join
from idpbuilder.registry.lookup import find_manifest, has_blob, read_manifest
from idpbuilder.registry.manifest_put import ManifestPut
from idpbuilder.registry.upload import BlobUpload, Habits, Probe, State
from idpbuilder.source import Document, SourceImage

T = TypeVar("T")

_STATUS = {
    State.DONE: BlobStatus.PUSHED,
    State.EXISTS: BlobStatus.EXISTS,
    State.MOUNTED: BlobStatus.MOUNTED,
}


class ImagePush:
    """Pushes `image` to `destination` over `session`; `jobs` blobs at once."""

    def __init__(
        self,
        image: SourceImage,
        destination: Destination,
        session: RegistrySession,
        loop: Loop,
        reporter: Reporter,
        jobs: int,
    ) -> None:
        self.image = image
        self.reference = destination.reference
        self._plan = plan_image(image)
        self._session = session
        self._loop = loop
        self._reporter = reporter
        self._jobs = jobs
        self._repository = self.reference.repository
        self._trust = session.options.trust
        self._began = loop.clock()
        self._ended: dict[int, LayerResult] = {}
        self._present: set[Document] = set()
        self._open: set[BlobUpload] = set()
        self._tickets: dict[int, int] = {}
        self._sent = [0] * len(self._plan.layers)

    def push(self, *, verify: bool) -> Steps[PushResult]:
        """Bring the image into the registry. Raises PushError."""
        self._begin()
        if (yield from self._is_there()):
            self._all_exist()
        else:
            looks = self._loop.spawn(self._look_for_children())
            yield from self._push_blobs(self._plan.blobs)
            yield from join([looks])
            try:
                yield from self._put_manifests()
            except BlobsMissing as error:
                yield from self._push_missing(error)
                yield from self._put_manifests()
            self._reporter.emit(ManifestEnded(BlobStatus.PUSHED))
        if verify:
            yield from self._verify()
        yield from self._cancel_sessions()
        return self._result(dry_run=False)

    def rehearse(self) -> Steps[PushResult]:
        """Find out what `push` would do; nothing in the registry changes. Raises PushError."""
        self._begin(dry_run=True)
        if (yield from self._is_there()):
            self._all_exist()
        else:
            yield from self._in_parallel(self._plan.blobs, self._rehearse_blob)
            self._reporter.emit(ManifestEnded(BlobStatus.WOULD_PUSH))
        return self._result(dry_run=True)

    def clean_up(self) -> Steps[None]:
        """After a failure: close the upload sessions that are still open."""
        yield from self._cancel_sessions()

    def tick(self) -> None:
        """Tell the reporter where the push stands."""
        for layer, ticket in self._tickets.items():
            size = self._plan.layers[layer].size
            self._sent[layer] = max(self._sent[layer], min(self._loop.engine.sent(ticket), size))
        self._reporter.progress(Progress(tuple(self._sent), self._loop.clock() - self._began))

    # -- the root

    def _begin(self, *, dry_run: bool = False) -> None:
        root = self._plan.root.descriptor.digest
        if self.reference.digest not in (None, root):
            raise ImageInvalid(
                f"`{self.image.label}` is not {self.reference.digest}",
                f"its digest is {root}",
                "push it under a tag, or under its own digest",
            )
        self._began = self._loop.clock()
        sizes = tuple(layer.size for layer in self._plan.layers)
        self._reporter.emit(PushStarted(self.image.label, self.reference, sizes, dry_run))

    @property
    def _place(self) -> str:
        """What the root is put under."""
        return self.reference.tag or str(self._plan.root.descriptor.digest)

    def _is_there(self) -> Steps[bool]:
        root = self._plan.root.descriptor.digest
        endpoint = self._session.endpoint
        inquiry = find_manifest(
            endpoint, self._repository, self._place, self._trust, root.algorithm
        )
        return (yield from self._session.inquire(inquiry)) == root

    def _all_exist(self) -> None:
        for number in range(len(self._plan.layers)):
            self._end_layer(number, BlobStatus.EXISTS, 0.0)
        self._reporter.emit(ManifestEnded(BlobStatus.EXISTS))
        for blob in self._plan.blobs:
            self._session.known.add(blob.digest, self._repository)

    # -- blobs

    def _push_blobs(self, blobs: Iterable[PlannedBlob]) -> Steps[None]:
        yield from self._in_parallel(blobs, partial(self._push_blob, habits=self._session.habits))

    def _push_blob(self, blob: PlannedBlob, *, habits: Habits) -> Steps[None]:
        known = self._session.known
        if known.has(blob.digest, self._repository):
            self._end_layer(blob.layer, BlobStatus.EXISTS, 0.0)
            return
        began = self._loop.clock()
        local = LocalBlob(blob.digest, blob.region)
        source = known.elsewhere(blob.digest, self._repository)
        upload = BlobUpload(
            self._session.endpoint,
            self._repository,
            blob.digest,
            local,
            habits=habits,
            trust=self._trust,
            mount_from=source,
            insecure=self._session.options.insecure,
        )
        self._open.add(upload)
        started = partial(self._watch, blob.layer)
        yield from self._session.drive(upload, recheck=local.recheck, started=started)
        if upload.session is None:
            self._open.discard(upload)
        known.add(blob.digest, self._repository)
        status = _STATUS[upload.state]
        mounted_from = source or "" if status is BlobStatus.MOUNTED else ""
        self._end_layer(blob.layer, status, self._loop.clock() - began, mounted_from)

    def _push_missing(self, error: BlobsMissing) -> Steps[None]:
        """The registry lost blobs, or said it had them: ask for each again, and trust no probe."""
        self._note(f"{error.message}: looking for every blob again")
        for blob in self._plan.blobs:
            self._session.known.forget(blob.digest, self._repository)
        doubting = Habits(probe=Probe.USELESS)
        yield from self._in_parallel(self._plan.blobs, partial(self._push_blob, habits=doubting))

    def _rehearse_blob(self, blob: PlannedBlob) -> Steps[None]:
        known, began = self._session.known, self._loop.clock()
        source = known.elsewhere(blob.digest, self._repository)
        exists = known.has(blob.digest, self._repository)
        if not exists:
            endpoint = self._session.endpoint
            inquiry = has_blob(endpoint, self._repository, blob.digest, self._trust)
            exists = yield from self._session.inquire(inquiry)
        known.add(blob.digest, self._repository)
        if exists:
            status = BlobStatus.EXISTS
        else:
            status = BlobStatus.WOULD_MOUNT if source else BlobStatus.WOULD_PUSH
        mounted_from = source or "" if status is BlobStatus.WOULD_MOUNT else ""
        self._end_layer(blob.layer, status, self._loop.clock() - began, mounted_from)

    def _watch(self, layer: int | None, ticket: int) -> None:
        if layer is not None:
            self._tickets[layer] = ticket

    def _end_layer(
        self, layer: int | None, status: BlobStatus, seconds: float, mounted_from: str = ""
    ) -> None:
        if layer is None or layer in self._ended:
            return
        descriptor = self._plan.layers[layer]
        result = LayerResult(descriptor.digest, descriptor.size, status, seconds, mounted_from)
        self._ended[layer] = result
        self._tickets.pop(layer, None)
        self._sent[layer] = descriptor.size
        self._reporter.emit(LayerEnded(layer + 1, len(self._plan.layers), result))

    # -- manifests

    def _look_for_children(self) -> Steps[None]:
        yield from self._in_parallel(self._plan.children, self._look_for_child)

    def _look_for_child(self, child: Document) -> Steps[None]:
        digest = child.descriptor.digest
        endpoint = self._session.endpoint
        inquiry = find_manifest(
            endpoint, self._repository, str(digest), self._trust, digest.algorithm
        )
        if (yield from self._session.inquire(inquiry)) == digest:
            self._present.add(child)

    def _put_manifests(self) -> Steps[None]:
        missing = [child for child in self._plan.children if child not in self._present]
        manifests = [child for child in missing if not isinstance(child.content, Index)]
        yield from self._in_parallel(manifests, self._put_child)
        # an index comes after all that it names: the plan has children before their parents
        for child in missing:
            if isinstance(child.content, Index):
                yield from self._put_child(child)
        yield from self._put(self._plan.root, self._place)

    def _put_child(self, child: Document) -> Steps[None]:
        yield from self._put(child, str(child.descriptor.digest))
        self._present.add(child)

    def _put(self, document: Document, reference: str) -> Steps[None]:
        put = ManifestPut(
            self._session.endpoint,
            self._repository,
            reference,
            document.descriptor,
            document.data,
            trust=self._trust,
            subject=document.content.subject,
            referrer=_referrer(document),
        )
        yield from self._session.drive(put)

    # -- around it

    def _verify(self) -> Steps[None]:
        """Read the manifest back, and ask for every blob and child. Raises ContentRefused."""
        root = self._plan.root.descriptor.digest
        endpoint = self._session.endpoint
        inquiry = read_manifest(
            endpoint, self._repository, self._place, self._trust, root.algorithm
        )
        found = yield from self._session.inquire(inquiry)
        if found != root:
            raise _not_whole(
                str(self.reference), f"its manifest is {found or 'not there'}, not {root}"
            )
        yield from self._in_parallel(self._plan.blobs, self._verify_blob)
        yield from self._in_parallel(self._plan.children, self._verify_child)
        self._note(f"verified {self.reference}: the manifest reads back, every blob is there")

    def _verify_blob(self, blob: PlannedBlob) -> Steps[None]:
        inquiry = has_blob(self._session.endpoint, self._repository, blob.digest, self._trust)
        if not (yield from self._session.inquire(inquiry)):
            raise _not_whole(str(self.reference), f"blob {blob.digest} is not there")

    def _verify_child(self, child: Document) -> Steps[None]:
        digest = child.descriptor.digest
        endpoint = self._session.endpoint
        inquiry = read_manifest(
            endpoint, self._repository, str(digest), self._trust, digest.algorithm
        )
        if (yield from self._session.inquire(inquiry)) != digest:
            raise _not_whole(str(self.reference), f"manifest {digest} is not there")

    def _cancel_sessions(self) -> Steps[None]:
        sessions = [upload.session for upload in self._open if upload.session is not None]
        self._open.clear()
        yield from self._in_parallel(sessions, self._cancel)

    def _cancel(self, url: str) -> Steps[None]:
        yield from self._session.cancel(url, self._repository)

    def _in_parallel(self, items: Iterable[T], work: Callable[[T], Steps[None]]) -> Steps[None]:
        """Do `work` for all items in order, at most `jobs` at once. Raises the first error."""
        queue = deque(items)
        workers = min(self._jobs, len(queue))
        yield from join([self._loop.spawn(_work_off(queue, work)) for _ in range(workers)])

    def _note(self, text: str) -> None:
        if self._reporter.wants_notes:
            self._reporter.emit(Note(text))

    def _result(self, *, dry_run: bool) -> PushResult:
        tally = self._session.tally
        return PushResult(
            image=self.image.label,
            reference=self.reference,
            root=self._plan.root.descriptor,
            size=self._plan.size,
            platforms=tuple(str(platform) for platform in self.image.platforms),
            layers=tuple(self._ended[number] for number in sorted(self._ended)),
            bytes_sent=tally.bytes_sent,
            requests=tally.requests,
            retries=tally.retries,
            seconds=self._loop.clock() - self._began,
            dry_run=dry_run,
        )


def _work_off(queue: deque[T], work: Callable[[T], Steps[None]]) -> Steps[None]:
    while queue:
        yield from work(queue.popleft())


def _referrer(document: Document) -> dict[str, object]:
    """The entry that a list of referrers has for a manifest (image-spec 1.1, referrers)."""
    descriptor, content = document.descriptor, document.content
    entry: dict[str, object] = {
        "mediaType": descriptor.media_type,
        "digest": str(descriptor.digest),
        "size": descriptor.size,
    }
    config_type = "" if isinstance(content, Index) else content.config.media_type
    if artifact_type := content.artifact_type or config_type:
        entry["artifactType"] = artifact_type
    if content.annotations:
        entry["annotations"] = dict(content.annotations)
    return entry


def _not_whole(reference: str, why: str) -> ContentRefused:
    return ContentRefused(
        f"`{reference}` did not read back whole",
        why,
        "push again, and tell the registry's operator",
    )
