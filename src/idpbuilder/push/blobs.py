"""Blobs on their way into one repository."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from idpbuilder.errors import ContentRefused, PushError, SourceError
from idpbuilder.image import Digest
from idpbuilder.memory import Packed
from idpbuilder.push.journal import Entry, Journal
from idpbuilder.push.layers import LayersElsewhere
from idpbuilder.push.local import LocalBlob
from idpbuilder.push.result import BlobStatus
from idpbuilder.push.session import RegistrySession
from idpbuilder.push.tasks import Steps, Until
from idpbuilder.registry.habits import Habits
from idpbuilder.registry.lookup import has_blob
from idpbuilder.registry.retry import Setback
from idpbuilder.registry.streamed import State as Streamed
from idpbuilder.registry.streamed import StreamedUpload
from idpbuilder.registry.upload import BlobUpload
from idpbuilder.registry.upload_state import State
from idpbuilder.wire import Body, BodyReader, RegionBody

if TYPE_CHECKING:
    from idpbuilder.packing.job import PackJob

STREAM_FROM = 4 * 1024 * 1024
"""Raw bytes from which a layer is sent while it is packed. What is smaller is packed at once, and
can then be asked for by its digest first.
"""

_STATUS = {
    State.DONE: BlobStatus.PUSHED,
    State.EXISTS: BlobStatus.EXISTS,
    State.MOUNTED: BlobStatus.MOUNTED,
}
Started = Callable[[int], None]


class ForetoldBody:
    """A layer that is packed only when it is asked for, and whose size is known all the same."""

    def __init__(self, packed: Packed, begin: Callable[[], PackJob]) -> None:
        self.job: PackJob | None = None
        self.failed: Exception | None = None
        """Why the packing could not begin, which is no matter of the engine's."""
        self._packed = packed
        self._begin = begin

    @property
    def size(self) -> int:
        """Bytes of the packed layer, as they were the last time."""
        return self._packed.size

    def open(self, start: int = 0) -> BodyReader:
        """A reader at the byte `start` of the blob as it grows. Raises OSError."""
        try:
            self.job = self._begin()
        except (LayersElsewhere, PushError) as error:
            self.failed = error
            raise OSError("its packing could not begin") from error
        return self.job.body().open(start)

    def is_done(self) -> bool:
        """Whether the packing, if it was begun, is over."""
        return self.job is None or self.job.done


@dataclass(frozen=True, slots=True)
class Arrival:
    """A blob that is in the repository, `size` in bytes, and how it came there."""

    digest: Digest
    size: int
    status: BlobStatus
    mounted_from: str = ""


class Blobs:
    """Brings blobs into `repository`, and knows which upload sessions are open."""

    def __init__(self, session: RegistrySession, repository: str) -> None:
        self._session = session
        self._registry = registry = session.registry
        self._repository = repository
        self._journal = Journal(registry.journal, registry.name, repository)
        self._open: dict[BlobUpload | StreamedUpload, Entry | None] = {}

    def is_known(self, digest: Digest) -> bool:
        """Whether this run has seen the blob in the repository."""
        return self._registry.known.has(digest, self._repository)

    def arrived(self, digest: Digest) -> None:
        """The blob is in the repository."""
        self._registry.known.add(digest, self._repository)

    def forget(self, digest: Digest) -> None:
        """The blob is not there after all."""
        self._registry.known.forget(digest, self._repository)

    def is_there(self, digest: Digest) -> Steps[bool]:
        """Whether the repository has the blob: asked, unless this run has seen it there."""
        if self.is_known(digest):
            return True
        found = yield from self.look(digest)
        if found:
            self.arrived(digest)
        return found

    def look(self, digest: Digest) -> Steps[bool]:
        """Whether the repository has the blob, asked in any case. Raises PushError."""
        endpoint, trust = self._registry.endpoint, self._registry.options.trust
        inquiry = has_blob(endpoint, self._repository, digest, trust)
        return (yield from self._session.inquire(inquiry))

    def bring(self, local: LocalBlob, habits: Habits, started: Started) -> Steps[Arrival]:
        """Have the blob of a local file in the repository. Raises PushError."""
        return (yield from self._upload(local.digest, local, habits, started, local.recheck))

    def bring_packed(self, job: PackJob, habits: Habits, started: Started) -> Steps[Arrival]:
        """Have the layer of `job` in the repository; a large one is sent while it is packed.

        Raises PushError, the job's own too.
        """
        streamed: StreamedUpload | None = None
        if job.layer.region.size >= STREAM_FROM:
            yield Until(lambda: job.done or job.spool.size > 0)
            if not job.done:
                streamed = yield from self._stream(job, started)
            if streamed is not None and streamed.state is Streamed.DONE:
                packed = job.result()
                return Arrival(packed.digest, packed.size, BlobStatus.PUSHED)
        yield Until(lambda: job.done)
        packed = job.result()
        digest = packed.digest
        if self.is_known(digest):
            return Arrival(digest, packed.size, BlobStatus.EXISTS)
        body, recheck = job.body(), None
        if isinstance(body, RegionBody):
            body = local = LocalBlob(digest, body.region)
            recheck = local.recheck
        # an earlier run may have sent the beginning while it was packed, even if this one did not
        earlier = self._entry_of(job)
        return (yield from self._upload(digest, body, habits, started, recheck, earlier, streamed))

    def bring_known(
        self, packed: Packed, job: Callable[[], PackJob], habits: Habits, started: Started
    ) -> Steps[Arrival]:
        """Have a layer in the repository of which an earlier run knows what it is packed into.

        Its packing begins only where the registry wants its bytes. Raises PushError, and what `job`
        does.
        """
        if self.is_known(packed.digest):
            return Arrival(packed.digest, packed.size, BlobStatus.EXISTS)
        body = ForetoldBody(packed, job)
        try:
            arrival = yield from self._upload(packed.digest, body, habits, started, None)
        except (ContentRefused, SourceError):
            if body.failed is not None:
                raise body.failed from None
            if body.job is None:
                raise
            yield Until(body.is_done)
            if body.job.packed == packed:
                raise
            # the memory was wrong, or the packing failed: the job itself tells which
            return (yield from self.bring_packed(body.job, habits, started))
        if body.job is not None:
            yield Until(body.is_done)
            body.job.result()
        return arrival

    def cancel(self, session: str) -> Steps[None]:
        """Close an upload session that nobody needs any more."""
        yield from self._session.cancel(session, self._repository)

    def open_sessions(self) -> list[str]:
        """The URLs of upload sessions that were left open and that nobody will go on with; they are
        given out once.
        """
        sessions = []
        for upload, entry in self._open.items():
            if upload.session is not None and not (entry and entry.kept == upload.session):
                sessions.append(upload.session)
            if isinstance(upload, BlobUpload):
                sessions += upload.abandoned
        self._open.clear()
        return sessions

    def _upload(
        self,
        digest: Digest,
        body: Body,
        habits: Habits,
        started: Started,
        recheck: Callable[[Setback], Steps[None]] | None,
        earlier: Entry | None = None,
        streamed: StreamedUpload | None = None,
    ) -> Steps[Arrival]:
        may_go_on = streamed is not None and streamed.broke and habits.resumes
        broken = streamed.session if streamed and may_go_on else None
        source = None if broken else self._registry.mount_source(digest, self._repository)
        endpoint, options = self._registry.endpoint, self._registry.options
        entry = self._journal.entry(digest, body)
        entries = [one for one in (entry, earlier) if one]
        # each is asked, so that each is dropped at the end
        found = [one.left(endpoint, insecure=options.insecure) for one in entries]
        left = None if source else next(filter(None, found), None)
        upload = BlobUpload(
            endpoint,
            self._repository,
            digest,
            body,
            habits=habits,
            trust=options.trust,
            mount_from=source,
            resume=left,
            broken=broken,
            insecure=options.insecure,
        )
        if streamed and broken:
            # it is this upload's to close now
            del self._open[streamed]
        self._open[upload] = entry
        begun = _following(upload, entry, started)
        yield from self._session.drive(upload, recheck=recheck, started=begun)
        for one in entries:
            one.drop()
        if upload.session is None and not upload.abandoned:
            del self._open[upload]
        self.arrived(digest)
        status = _STATUS[upload.state]
        if source and status is BlobStatus.PUSHED:
            self._registry.known.mounts = False
        mounted_from = source or "" if status is BlobStatus.MOUNTED else ""
        return Arrival(digest, body.size or 0, status, mounted_from)

    def _entry_of(self, job: PackJob) -> Entry | None:
        """Where the session of a layer is noted that comes to the same bytes each time."""
        return None if job.kept else self._journal.entry_of_raw(job.diff_id, job.method.name)

    def _stream(self, job: PackJob, started: Started) -> Steps[StreamedUpload]:
        endpoint, options = self._registry.endpoint, self._registry.options
        entry = self._entry_of(job)
        upload = StreamedUpload(
            endpoint,
            self._repository,
            job.body(),
            lambda: job.packed.digest if job.packed else None,
            what=f"layer {job.diff_id or ''}".rstrip(),
            trust=options.trust,
            resume=entry.left(endpoint, insecure=options.insecure) if entry else None,
            insecure=options.insecure,
        )
        self._open[upload] = entry
        yield from self._session.drive(upload, started=_following(upload, entry, started))
        if entry and not upload.broke:
            entry.drop()
        if upload.session is None:
            del self._open[upload]
        if upload.state is Streamed.DONE:
            self.arrived(job.result().digest)
        return upload


def _following(
    upload: BlobUpload | StreamedUpload, entry: Entry | None, started: Started
) -> Started:
    """Have each request of an upload noted before its body goes out."""

    def begun(ticket: int) -> None:
        if entry:
            entry.follow(upload)
        started(ticket)

    return begun
