"""From a descriptor to everything below it: documents read and verified, blobs found."""

from __future__ import annotations

from collections.abc import Iterable

from idpbuilder.errors import ImageInvalid
from idpbuilder.image import Descriptor, Digest, Index, InvalidValue, parse_document
from idpbuilder.image.manifest import DOCUMENT_LIMIT, MANIFEST_TYPES
from idpbuilder.source.files import Files, blob_name, invalid, listed, read, shown
from idpbuilder.source.model import Document
from idpbuilder.wire import Region

_DEPTH_LIMIT = 8
_DESCRIPTOR_LIMIT = 10_000


class Tree:
    """What has been read of one source; a document is read once, however often it is named.

    `made` are documents that the source does not hold but that stand for what it holds.
    """

    def __init__(self, files: Files, made: Iterable[Document] = ()) -> None:
        self._files = files
        self._read = {document.descriptor.digest: document for document in made}

    @property
    def path(self) -> str:
        """What the user knows the source by."""
        return self._files.path

    def invalid(self, why: str) -> ImageInvalid:
        """The error for a source that breaks the format."""
        return invalid(self.path, why)

    def region(self, descriptor: Descriptor) -> Region | None:
        """Where the content of `descriptor` lies; None where it is missing.

        Raises ImageInvalid where it has another size than the descriptor says.
        """
        region = self._files.find(blob_name(descriptor.digest))
        if region is not None and region.size != descriptor.size:
            raise self.invalid(
                f"{descriptor.digest} has {region.size} bytes where {descriptor.size} are announced"
            )
        return region

    def content(self, descriptor: Descriptor, limit: int = DOCUMENT_LIMIT) -> bytes | None:
        """The verified content of `descriptor`; None where it is missing.

        Raises ImageInvalid where it is larger than `limit` bytes or not what it should be.
        """
        region = self.region(descriptor)
        if region is None:
            return None
        data = read(self.path, region, str(descriptor.digest), limit)
        if not descriptor.digest.matches(data):
            raise self.invalid(f"the content of {descriptor.digest} has another digest")
        return data

    def document(self, descriptor: Descriptor) -> Document | None:
        """The manifest or index of `descriptor`; None where it is missing. Raises ImageInvalid."""
        known = self._read.get(descriptor.digest)
        if known is not None:
            self._agree(known.descriptor, descriptor)
            return known
        data = self.content(descriptor)
        if data is None:
            return None
        try:
            document = Document(descriptor, data, parse_document(data, descriptor.media_type))
        except InvalidValue as error:
            raise self.invalid(f"{descriptor.digest} {error}") from error
        self._read[descriptor.digest] = document
        return document

    def whole(self, root: Descriptor) -> tuple[tuple[Document, ...], dict[Digest, Region]]:
        """All documents from `root` down, children first, and the regions of all their blobs.

        Raises ImageInvalid where something is missing, lies about its size, or has no end.
        """
        walk = _Walk(self, root)
        walk.visit(root, 0)
        return tuple(walk.documents.values()), walk.blobs

    def _agree(self, one: Descriptor, other: Descriptor) -> None:
        if one.size != other.size:
            raise self.invalid(f"{one.digest} is announced with {one.size} and {other.size} bytes")


class _Walk:
    def __init__(self, tree: Tree, root: Descriptor) -> None:
        self._tree = tree
        self._root = root
        self._seen = 0
        self.documents: dict[Digest, Document] = {}
        self.blobs: dict[Digest, Region] = {}

    def visit(self, descriptor: Descriptor, depth: int) -> None:
        self._count()
        document = self._tree.document(descriptor)
        if document is None:
            raise self._incomplete(descriptor)
        if descriptor.digest in self.documents:
            return
        if isinstance(document.content, Index):
            if depth == _DEPTH_LIMIT:
                raise self._tree.invalid(f"its indexes are nested more than {_DEPTH_LIMIT} deep")
            for child in document.content.manifests:
                self.visit(child, depth + 1)
        else:
            self._place(document.content.config)
            for layer in document.content.layers:
                if not layer.foreign:
                    self._place(layer)
        self.documents[descriptor.digest] = document

    def _place(self, descriptor: Descriptor) -> None:
        self._count()
        known = self.blobs.get(descriptor.digest)
        if known is None:
            region = self._tree.region(descriptor)
            if region is None:
                raise self._incomplete(descriptor)
            self.blobs[descriptor.digest] = region
        elif known.size != descriptor.size:
            raise self._tree.invalid(
                f"{descriptor.digest} is announced with {known.size} and {descriptor.size} bytes"
            )

    def _count(self) -> None:
        self._seen += 1
        if self._seen > _DESCRIPTOR_LIMIT:
            raise self._tree.invalid(f"it has more than {_DESCRIPTOR_LIMIT} descriptors")

    def _incomplete(self, missing: Descriptor) -> ImageInvalid:
        hint = "copy or save the image again, whole"
        complete = self._complete_platforms()
        if complete:
            hint = f"push one platform of it with `--platform`: complete is {listed(complete)}"
        what = f"{shown(self._tree.path)} is incomplete"
        return ImageInvalid(what, f"{missing.digest} is missing", hint)

    def _complete_platforms(self) -> list[str]:
        root = self._tree.document(self._root)
        if root is None or not isinstance(root.content, Index):
            return []
        manifests = {one.digest: one for one in root.content.manifests if _is_of_a_platform(one)}
        return [str(one.platform) for one in manifests.values() if self._is_complete(one)]

    def _is_complete(self, descriptor: Descriptor) -> bool:
        try:
            self._tree.whole(descriptor)
        except ImageInvalid:
            return False
        return True


def _is_of_a_platform(descriptor: Descriptor) -> bool:
    platform = descriptor.platform
    known = platform is not None and platform.os != "unknown"
    return known and descriptor.media_type in MANIFEST_TYPES
