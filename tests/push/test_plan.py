"""What a push has to bring, and in which order."""

from __future__ import annotations

from pathlib import Path

from idpbuilder.image import Digest
from idpbuilder.push.plan import Plan, plan_image
from idpbuilder.source import open_source
from tests.parts.images import ImageSpec, IndexSpec, Layout, Spec, write_layout


def planned(path: Path, spec: Spec) -> tuple[Layout, Plan]:
    layout = write_layout(path / "image", [spec])
    with open_source(str(layout.path), None, lambda: None) as (image,):
        return layout, plan_image(image)


def test_layers_are_numbered_in_manifest_order_and_blobs_go_largest_first(tmp_path: Path) -> None:
    layout, plan = planned(tmp_path, ImageSpec(layers=(1000, 9000, 5000)))
    assert [str(layer.digest) for layer in plan.layers] == list(layout.image.layers)
    assert [blob.layer for blob in plan.blobs] == [1, 2, 0, None]


def test_a_digest_counts_once_over_all_platforms(tmp_path: Path) -> None:
    shared, own = b"shared" * 100, b"own" * 100
    spec = IndexSpec(
        (
            ImageSpec(layers=(shared, own)),
            ImageSpec(layers=(shared, shared), platform="linux/arm64"),
        )
    )
    _, plan = planned(tmp_path, spec)
    assert [layer.digest for layer in plan.layers] == [Digest.of(shared), Digest.of(own)]
    assert len(plan.blobs) == 4, "two layers and two configs"


def test_foreign_layers_are_neither_numbered_nor_sent(tmp_path: Path) -> None:
    _, plan = planned(tmp_path, ImageSpec(layers=(1000,), foreign=2))
    assert len(plan.layers) == 1
    assert len(plan.blobs) == 2
