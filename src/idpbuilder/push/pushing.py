"""One image on its way to one destination: blobs, then manifests, then the tag."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from functools import partial

from idpbuilder.errors import BlobsMissing, ContentRefused, ImageInvalid, SourceError
from idpbuilder.image import Descriptor, Digest, Reference
from idpbuilder.memory import Packed
from idpbuilder.push.blobs import Arrival, Blobs
from idpbuilder.push.claims import Claims
from idpbuilder.push.destination import Destination
from idpbuilder.push.events import (
    ConfigEnded,
    LayerEnded,
    ManifestEnded,
    PushStarted,
    Standing,
    Teller,
)
from idpbuilder.push.layers import Layers
from idpbuilder.push.local import LocalBlob
from idpbuilder.push.manifests import Manifests
from idpbuilder.push.plan import PlannedBlob, plan_image
from idpbuilder.push.result import BlobStatus, LayerResult, PushResult
from idpbuilder.push.session import RegistrySession
from idpbuilder.push.tasks import Loop, Sleep, Steps, Task, Until, in_parallel, join
from idpbuilder.registry.habits import Habits, Probe
from idpbuilder.registry.lookup import read_manifest
from idpbuilder.source import Document, SourceImage

_TRIES_FOR_BLOBS = 4


class ImagePush:
    """Pushes `image` to `destination` over `session`.

    `layers` packs those of its layers that are raw. `before` is the push that this one goes on
    with, now that the layers are at hand which that one missed.
    """

    def __init__(
        self,
        image: SourceImage,
        destination: Destination,
        session: RegistrySession,
        loop: Loop,
        teller: Teller,
        layers: Layers,
        before: ImagePush | None = None,
    ) -> None:
        self.image = image
        self._before = before
        self.reference = destination.reference
        self._plan = plan_image(image)
        self._session = session
        self._registry = session.registry
        self._loop = loop
        self._teller = teller
        self._layers = layers
        self._repository = self.reference.repository
        self._blobs = Blobs(session, self._repository)
        self._trust = self._registry.options.trust
        self.began: float = before.began if before else loop.clock()
        self._ended: dict[int, LayerResult] = {}
        self._manifests = Manifests(session, self._repository)
        self.early: dict[Digest, Arrival] = before.early if before else {}
        self._tickets: dict[int, int] = {}
        self._sent = [0] * len(self._plan.layers)
        self._documents = image.documents
        self._unchanged = False

    def push(self, *, verify: bool) -> Steps[PushResult]:
        """Bring the image into the registry.

        Raises PushError, and LayersElsewhere where the registry lacks a layer that is not at hand.
        """
        yield from self._begin()
        if (yield from self._is_there()):
            self._all_exist()
        else:
            yield from self._bring_what_is_elsewhere()
            children = self._documents[:-1] if self._layers.all_packed else ()
            looks = self._loop.spawn(self._manifests.look_for(self._loop, children))
            yield from self._push_blobs(self._registry.habits)
            yield from join([looks])
            self._documents = self._layers.documents()
            yield from self._put_manifests()
            self._teller.emit(ManifestEnded(BlobStatus.PUSHED))
        if verify:
            yield from self._verify()
        self._layers.remember(self._registry.name, self._repository, self._final_digests())
        return self._result(dry_run=False)

    def _put_manifests(self) -> Steps[None]:
        """Put the manifests; where the registry misses blobs, look for them and put them again.

        Others that push the same blobs at this moment may hide them from the registry for another
        one: CNCF Distribution 2 writes the link of a blob in place.
        """
        for made in itertools.count():
            try:
                yield from self._manifests.put(self._loop, self._documents, self._place)
            except BlobsMissing as error:
                # the first look is no other try, and comes at once
                delay = self._registry.options.policy.delay(made - 1) if made else 0.0
                if delay is None or made == _TRIES_FOR_BLOBS:
                    raise
                yield Sleep(delay)
                yield from self._push_missing(error)
            else:
                return

    def rehearse(self) -> Steps[PushResult]:
        """Find out what `push` would do; nothing in the registry changes. Raises as `push`."""
        yield from self._begin(dry_run=True)
        yield from self._layers.pack_all()
        self._documents = self._layers.documents()
        if (yield from self._is_there()):
            self._all_exist()
        else:
            yield from self._in_turn(self._plan.blobs, self._rehearse_blob)
            self._teller.emit(ManifestEnded(BlobStatus.WOULD_PUSH))
        return self._result(dry_run=True)

    def clean_up(self, loop: Loop) -> Steps[None]:
        """Close the upload sessions that nobody will go on with."""
        sessions = self._blobs.open_sessions()
        yield from join([loop.spawn(self._blobs.cancel(session)) for session in sessions])

    def standing(self) -> Standing:
        """Where the push stands."""
        for layer, ticket in self._tickets.items():
            planned = self._plan.layers[layer]
            sent = self._layers.unpacked(planned.digest, self._loop.engine.sent(ticket))
            self._sent[layer] = max(self._sent[layer], min(sent, planned.size))
        return Standing(tuple(self._sent))

    # -- the root

    def _begin(self, *, dry_run: bool = False) -> Steps[None]:
        sizes = tuple(layer.size for layer in self._plan.layers)
        self._teller.emit(
            PushStarted(
                self.image.label, self.reference, sizes, dry_run, again=self._before is not None
            )
        )
        self._layers.start()
        if self.reference.digest is not None:
            # it must be known to be the digest of what is pushed before anything is sent
            yield from self._layers.pack_all()
        if self._layers.all_packed:
            self._documents = self._layers.documents()
        check_digest(self.image.label, self.reference, self._root.digest)

    @property
    def _root(self) -> Descriptor:
        return self._documents[-1].descriptor

    @property
    def _place(self) -> str:
        """What the root is put under."""
        return self.reference.tag or str(self._root.digest)

    def _is_there(self) -> Steps[bool]:
        found = yield from self._manifests.find(self._place, self._root.digest.algorithm)
        # of an image that is yet to be packed, the question only opens the conversation
        return self._layers.all_packed and found == self._root.digest

    def _all_exist(self) -> None:
        self._unchanged = True
        for blob in self._plan.blobs:
            digest, size = self._final(blob)
            self._blobs.arrived(digest)
            self._end_layer(blob.layer, Arrival(digest, size, BlobStatus.EXISTS), 0.0)
        self._teller.note(f"{self.reference} is {self._root.digest} already: nothing is sent")
        self._teller.emit(ManifestEnded(BlobStatus.EXISTS))

    # -- blobs

    def _push_blobs(self, habits: Habits) -> Steps[None]:
        yield from self._in_turn(self._plan.blobs, partial(self._push_blob, habits=habits))

    def _bring_what_is_elsewhere(self) -> Steps[None]:
        """Have the blobs that are not at hand found or mounted, before any is said to have arrived.

        Raises LayersElsewhere where the registry lacks one.
        """
        away = [blob for blob in self._plan.blobs if blob.region is None]
        yield from self._in_turn(away, self._bring_from_elsewhere)

    def _bring_from_elsewhere(self, blob: PlannedBlob) -> Steps[None]:
        digest, size = self._final(blob)
        body = partial(self._layers.job, blob.digest)
        arrival = yield from self._blobs.bring_known(
            Packed(digest, size), body, self._registry.habits, lambda _ticket: None
        )
        self.early[blob.digest] = arrival

    def _push_blob(self, blob: PlannedBlob, *, habits: Habits) -> Steps[None]:
        began = self._loop.clock()
        started = partial(self._watch, blob.layer)
        early = self.early.pop(blob.digest, None)
        if early is not None:
            arrival = early
        elif self._layers.is_raw(blob.digest):
            arrival = yield from self._push_raw(blob, habits, started)
        elif self._blobs.is_known(blob.digest):
            arrival = Arrival(blob.digest, blob.size, BlobStatus.EXISTS)
        elif blob.region is None:
            # one that the registry said it had, and then missed
            yield from self._bring_from_elsewhere(blob)
            arrival = self.early.pop(blob.digest)
        else:
            local = LocalBlob(blob.digest, blob.region)
            arrival = yield from self._blobs.bring(local, habits, started)
        self._end_layer(blob.layer, arrival, self._loop.clock() - began)

    def _push_raw(
        self, blob: PlannedBlob, habits: Habits, started: Callable[[int], None]
    ) -> Steps[Arrival]:
        packed, job = self._layers.packed(blob.digest), partial(self._layers.job, blob.digest)
        if packed is not None:
            arrival = yield from self._blobs.bring_known(packed, job, habits, started)
        else:
            try:
                arrival = yield from self._blobs.bring_packed(job(), habits, started)
            except SourceError:
                if not self._layers.packs_its_own(blob.digest):
                    raise
                arrival = yield from self._blobs.bring_packed(job(), habits, started)
        self._layers.learn(blob.digest, Packed(arrival.digest, arrival.size))
        return arrival

    def _push_missing(self, error: BlobsMissing) -> Steps[None]:
        """The registry lost blobs, or said it had them: ask for each again, and trust no probe."""
        self._teller.note(f"{error.message}: looking for every blob again")
        # nor is what was said of the children to be believed
        self._manifests.forget()
        for blob in self._plan.blobs:
            self._blobs.forget(self._final(blob)[0])
        yield from self._push_blobs(Habits(probe=Probe.USELESS))

    def _rehearse_blob(self, blob: PlannedBlob) -> Steps[None]:
        began = self._loop.clock()
        digest, size = self._final(blob)
        source = self._registry.mount_source(digest, self._repository)
        if (yield from self._blobs.is_there(digest)):
            arrival = Arrival(digest, size, BlobStatus.EXISTS)
        elif source:
            arrival = Arrival(digest, size, BlobStatus.WOULD_MOUNT, source)
        else:
            arrival = Arrival(digest, size, BlobStatus.WOULD_PUSH)
        # by the time that it would be another image's turn it would be there
        self._blobs.arrived(digest)
        self._end_layer(blob.layer, arrival, self._loop.clock() - began)

    def _final(self, blob: PlannedBlob) -> tuple[Digest, int]:
        """What the registry knows a blob by, and its size there."""
        packed = self._layers.packed(blob.digest)
        return (packed.digest, packed.size) if packed else (blob.digest, blob.size)

    def _final_digests(self) -> list[Digest]:
        return [self._final(blob)[0] for blob in self._plan.blobs]

    def _watch(self, layer: int | None, ticket: int) -> None:
        if layer is not None:
            self._tickets[layer] = ticket

    def _end_layer(self, layer: int | None, arrival: Arrival, seconds: float) -> None:
        result = LayerResult(
            arrival.digest, arrival.size, arrival.status, seconds, arrival.mounted_from
        )
        if layer is None:
            self._teller.emit(ConfigEnded(result))
        if layer is None or layer in self._ended:
            return
        self._ended[layer] = result
        self._tickets.pop(layer, None)
        origin = f" from {arrival.mounted_from}" if arrival.mounted_from else ""
        self._teller.note(f"layer {layer + 1} {arrival.digest}: {arrival.status.value}{origin}")
        if arrival.status is BlobStatus.PUSHED:
            self._sent[layer] = self._plan.layers[layer].size
        self._teller.emit(LayerEnded(layer + 1, len(self._plan.layers), result))

    # -- around it

    def _verify(self) -> Steps[None]:
        """Read the manifest back, and ask for every blob and child. Raises ContentRefused."""
        found = yield from self._read(self._place, self._root.digest.algorithm)
        if found != self._root.digest:
            raise _not_whole(
                str(self.reference),
                f"its manifest is {found or 'not there'}, not {self._root.digest}",
            )
        yield from in_parallel(self._loop, self._final_digests(), self._verify_blob)
        yield from in_parallel(self._loop, self._documents[:-1], self._verify_child)
        self._teller.note(
            f"verified {self.reference}: the manifest reads back, every blob is there"
        )

    def _verify_blob(self, digest: Digest) -> Steps[None]:
        if not (yield from self._blobs.look(digest)):
            raise _not_whole(str(self.reference), f"blob {digest} is not there")

    def _verify_child(self, child: Document) -> Steps[None]:
        digest = child.descriptor.digest
        if (yield from self._read(str(digest), digest.algorithm)) != digest:
            raise _not_whole(str(self.reference), f"manifest {digest} is not there")

    def _read(self, place: str, algorithm: str) -> Steps[Digest | None]:
        endpoint = self._registry.endpoint
        inquiry = read_manifest(endpoint, self._repository, place, self._trust, algorithm)
        return (yield from self._session.inquire(inquiry))

    def _in_turn(
        self, blobs: Iterable[PlannedBlob], work: Callable[[PlannedBlob], Steps[None]]
    ) -> Steps[None]:
        """Do `work` for all blobs in order, as many at once as the registry's pace allows; one that
        another image is bringing into the registry comes later. Raises the first error.
        """
        waiting, begun = list(blobs), list[Task[None]]()
        claims = Claims(self._registry, self._repository)
        try:
            while waiting and not claims.failed:
                # one looks out for all: of thousands that did each would look at every turn
                blob = self._take(waiting, claims)
                if blob is not None:
                    begun.append(self._loop.spawn(self._bring(blob, waiting, work, claims)))
                else:
                    yield Until(
                        lambda: not waiting or claims.failed or self._next(waiting) is not None
                    )
            yield from join(begun)
        finally:
            claims.give_back_all()

    def _bring(
        self,
        blob: PlannedBlob | None,
        waiting: list[PlannedBlob],
        work: Callable[[PlannedBlob], Steps[None]],
        claims: Claims,
    ) -> Steps[None]:
        while blob is not None:
            try:
                yield from work(blob)
            except Exception:
                claims.failed = True
                raise
            finally:
                claims.give_back(blob)
            blob = None if claims.failed else self._take(waiting, claims)

    def _take(self, waiting: list[PlannedBlob], claims: Claims) -> PlannedBlob | None:
        """The next blob, which is this image's to bring now."""
        blob = self._next(waiting)
        if blob is not None:
            waiting.remove(blob)
            claims.take(blob, self._layers.identity(blob.digest), self._to_send(blob))
        return blob

    def _next(self, waiting: list[PlannedBlob]) -> PlannedBlob | None:
        """The first blob that nobody else has to bring first, if it may be begun now."""
        blob = next((one for one in waiting if not self._is_awaited(one)), None)
        return blob if blob and self._registry.pace.lets_begin(self._to_send(blob)) else None

    def _is_awaited(self, blob: PlannedBlob) -> bool:
        identity, digest = self._layers.identity(blob.digest), self._final(blob)[0]
        return self._registry.known.is_awaited(identity, digest, self._repository)

    def _to_send(self, blob: PlannedBlob) -> int:
        """Bytes of a blob that have to be sent, for all that is known."""
        return 0 if self._registry.known.can_be_had(blob.digest) else blob.size

    def _result(self, *, dry_run: bool) -> PushResult:
        tally = self._session.tally
        blobs = sum(self._final(blob)[1] for blob in self._plan.blobs)
        return PushResult(
            image=self.image.label,
            reference=self.reference,
            root=self._root,
            size=blobs + sum(len(document.data) for document in self._documents),
            platforms=tuple(str(platform) for platform in self.image.platforms),
            layers=tuple(self._ended[number] for number in sorted(self._ended)),
            bytes_sent=tally.bytes_sent,
            requests=tally.requests,
            retries=tally.retries,
            seconds=self._loop.clock() - self.began,
            dry_run=dry_run,
            unchanged=self._unchanged,
        )


def check_digest(label: str, reference: Reference, root: Digest) -> None:
    """Raise ImageInvalid where `reference` is by digest, and not the digest of what is pushed."""
    if reference.digest not in (None, root):
        raise ImageInvalid(
            f"`{label}` is not {reference.digest}",
            f"its digest is {root}",
            "push it under a tag, or under its own digest",
        )


def _not_whole(reference: str, why: str) -> ContentRefused:
    return ContentRefused(
        f"`{reference}` did not read back whole",
        why,
        "push again, and tell the registry's operator",
    )
