"""The manifests of an image on their way into one repository, children first, the root last."""

from __future__ import annotations

from collections.abc import Sequence

from idpbuilder.image import Digest, Index
from idpbuilder.push.session import RegistrySession
from idpbuilder.push.tasks import Loop, Steps, in_parallel
from idpbuilder.registry.lookup import find_manifest
from idpbuilder.registry.manifest_put import ManifestPut
from idpbuilder.source import Document


class Manifests:
    """Puts documents into `repository`, and knows which of them are there."""

    def __init__(self, session: RegistrySession, repository: str) -> None:
        self._session = session
        self._registry = session.registry
        self._repository = repository
        self._trust = self._registry.options.trust
        self._present: set[Document] = set()

    def find(self, place: str, algorithm: str) -> Steps[Digest | None]:
        """The digest of what is under `place`, a tag or a digest. Raises PushError."""
        endpoint = self._registry.endpoint
        inquiry = find_manifest(endpoint, self._repository, place, self._trust, algorithm)
        return (yield from self._session.inquire(inquiry))

    def look_for(self, loop: Loop, children: Sequence[Document]) -> Steps[None]:
        """See which of these are there already. Raises PushError."""
        yield from in_parallel(loop, children, self._look_for)

    def put(self, loop: Loop, documents: Sequence[Document], place: str) -> Steps[None]:
        """Put what is not there, the last one under `place`. Raises PushError."""
        missing = [child for child in documents[:-1] if child not in self._present]
        alone = [child for child in missing if _goes_alone(child)]
        together = [child for child in missing if not _goes_alone(child)]
        yield from in_parallel(loop, together, self._put_child)
        for child in alone:
            yield from self._put_child(child)
        yield from self._put(documents[-1], place)

    def forget(self) -> None:
        """What was said of the children is not to be believed."""
        self._present.clear()

    def _look_for(self, child: Document) -> Steps[None]:
        digest = child.descriptor.digest
        # one with a subject is put in any case: perhaps an earlier run did not come to list it
        if child.content.subject is None:
            found = yield from self.find(str(digest), digest.algorithm)
            if found == digest:
                self._present.add(child)

    def _put_child(self, child: Document) -> Steps[None]:
        yield from self._put(child, str(child.descriptor.digest))
        self._present.add(child)

    def _put(self, document: Document, reference: str) -> Steps[None]:
        put = ManifestPut(
            self._registry.endpoint,
            self._repository,
            reference,
            document.descriptor,
            document.data,
            trust=self._trust,
            subject=document.content.subject,
            referrer=_referrer(document),
        )
        yield from self._session.drive(put)


def _goes_alone(document: Document) -> bool:
    """Whether a manifest must not be put beside others.

    An index comes after all that it names; what has a subject may have to be written into a list of
    referrers that others with this subject write as well.
    """
    return isinstance(document.content, Index) or document.content.subject is not None


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
