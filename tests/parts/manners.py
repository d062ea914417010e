"""How a registry may differ from the specification's example, and still be one that people use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PLAIN = "/v2/{repo}/blobs/uploads/{id}"
BARE = "{id}"
ABSOLUTE = "{scheme}://{host}/v2/{repo}/blobs/uploads/{id}"
OTHER_PATH = "/v2/{repo}/blobs/upload/{id}"
WITH_QUERY = "/v2/{repo}/blobs/uploads/{id}?_state={state}"
OTHER_HOST = "{scheme}://{other_host}/storage/{id}?signature={state}"


@dataclass(frozen=True, slots=True)
class Manners:
    """One registry's ways; the defaults are CNCF Distribution's where it follows the specification.

    `location` and `status_range` are templates. `location` knows `scheme`, `host`, `other_host`,
    `port`, `repo`, `id` and `state`, which changes with every answer: a session whose Location
    holds it is found under the newest one only. `status_range` knows `last` and `size`; None sends
    none.
    """

    mount: Literal["honest", "always-202", "400", "401", "403", "405"] = "honest"
    mount_without_from: Literal["202", "400", "honest"] = "202"
    single_post: bool = False
    location: str = PLAIN
    sessions_need_auth: bool = True
    status_range: str | None = "0-{last}"
    status_location: bool = True
    chunk_status: int = 202
    chunk_min: int | None = None
    chunk_max: int | None = None
    body_max: int | None = None
    octet_stream_only: bool = False
    broken_body: Literal["keep", "end"] = "keep"
    blob_put_status: int = 201
    head_status: int | None = None
    content_digest: Literal["right", "absent", "wrong"] = "right"
    manifest_location: str = "/v2/{repo}/manifests/{digest}"
    manifest_max: int = 4 * 1024 * 1024
    subject: bool = True
    referrers: bool = True
    cancel_status: int = 204


GHCR = Manners(location=OTHER_PATH, chunk_max=4 * 1024 * 1024)
"""A chunk of more than 4 MiB is refused with 416; sessions live at another path."""

QUAY = Manners(
    mount_without_from="400", status_range="bytes=0-{size}", status_location=False, subject=False
)
"""The status of a session is prefixed and one too high."""

GITEA = Manners(single_post=True, status_range="0-{size}", status_location=False)
"""The status of a session is one too high."""

ARTIFACTORY = Manners(
    mount="always-202", single_post=True, manifest_location="/v2/{repo}/blobs/uploads/{digest}"
)
"""Never mounts, and points at an upload after a manifest."""

ECR = Manners(chunk_status=201, chunk_min=5 * 1024 * 1024, status_range="0-0")
"""A chunk is answered with 201, and the status never advances."""

ZOT = Manners(single_post=True, octet_stream_only=True, broken_body="end")
"""A body that breaks ends its session."""
