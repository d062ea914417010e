"""The order in which an image has its documents."""

from __future__ import annotations

from pathlib import Path

from idpbuilder.image import Index
from idpbuilder.source import open_source
from tests.parts.images import ImageSpec, IndexSpec, write_layout


def test_children_come_before_their_parents_and_the_root_last(tmp_path: Path) -> None:
    spec = IndexSpec((IndexSpec(), ImageSpec(seed=7)), attested=True)
    layout = write_layout(tmp_path / "image", [spec])
    with open_source(str(layout.path), None, lambda: None) as (image,):
        documents = image.documents
    place = {document.descriptor.digest: number for number, document in enumerate(documents)}
    for document in documents:
        if isinstance(document.content, Index):
            for child in document.content.manifests:
                assert place[child.digest] < place[document.descriptor.digest]
    assert str(documents[-1].descriptor.digest) == layout.image.digest
