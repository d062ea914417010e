"""What only writing shows, and what is left of it."""

from __future__ import annotations

import pytest

from idpbuilder.cli.exits import exit_of
from idpbuilder.doctor.finding import State
from idpbuilder.errors import Interrupted
from tests.doctor.conftest import Seen, Visitor
from tests.parts.faults import Answer, Hang
from tests.parts.fixtures import USERS
from tests.parts.manners import ARTIFACTORY, ECR, GITEA, Manners
from tests.parts.memory_registry import MemoryRegistry
from tests.parts.registry_auth import BearerAuth
from tests.parts.token_service import TokenService

REPOSITORY = "team/scratch"


def trial(visit: Visitor, registry: MemoryRegistry, **options: object) -> Seen:
    return visit(registry.host, REPOSITORY, write=True, **options)


def test_a_trial_leaves_no_session_and_no_tag(registry: MemoryRegistry, visit: Visitor) -> None:
    seen = trial(visit, registry)
    assert seen.ends_well
    assert seen["upload session"].state is State.OK
    assert seen["upload rate"].facts["bytesPerSecond"] > 0  # type: ignore[operator]
    assert registry.open_uploads(REPOSITORY) == 0
    assert registry.tags(REPOSITORY) == []
    # a registry that deletes no blobs keeps the one of a few bytes
    (blob,) = registry.repository(REPOSITORY).blobs.values()
    assert blob.size == 32
    facts = seen["clean-up"].facts
    assert (facts["sessions"], facts["cancelled"], facts["removed"]) == (1, 1, False)


def test_the_announced_limits_are_told_and_kept(visit: Visitor) -> None:
    with MemoryRegistry(Manners(chunk_min=2_000_000, chunk_max=3_000_000)) as registry:
        seen = trial(visit, registry)
    assert seen["chunks"].facts == {"minLength": 2_000_000, "maxLength": 3_000_000}
    assert seen["chunks"].detail == "at least 2.0 MB and at most 3.0 MB each"
    sizes = {int(one.headers["content-length"]) for one in registry.seen("PATCH")}
    assert max(sizes) <= 3_000_000
    assert min(sizes) >= 2_000_000


@pytest.mark.parametrize(
    ("manners", "taken", "honest"),
    [(Manners(), False, True), (GITEA, True, True), (ARTIFACTORY, True, False), (ECR, False, True)],
    ids=["distribution", "gitea", "artifactory", "ecr"],
)
def test_a_single_post_and_the_mount_probe_are_told(
    visit: Visitor, manners: Manners, taken: bool, honest: bool
) -> None:
    with MemoryRegistry(manners) as registry:
        seen = trial(visit, registry)
    assert seen["single POST"].facts == {"taken": taken}
    assert seen["mount probe"].facts["honest"] is honest
    assert registry.open_uploads(REPOSITORY) == 0


def test_a_refused_mount_is_no_failure(visit: Visitor) -> None:
    with MemoryRegistry(Manners(mount="405")) as registry:
        seen = trial(visit, registry)
    assert seen.ends_well
    assert seen["mount probe"].detail.startswith("refused (405)")


def test_a_body_that_is_too_large_is_a_warning(registry: MemoryRegistry, visit: Visitor) -> None:
    registry.fault(Answer(413, "too large"), method="PATCH", times=None)
    seen = trial(visit, registry)
    assert seen["upload rate"].state is State.WARNING
    assert "413" in seen["upload rate"].detail
    assert registry.open_uploads(REPOSITORY) == 0


def test_an_upload_that_is_forbidden_is_a_failure(registry: MemoryRegistry, visit: Visitor) -> None:
    registry.fault(Answer(403, "no pushes here"), method="POST", times=None)
    failure = trial(visit, registry).failure
    assert failure.what == "upload session"
    assert failure.error is not None
    assert exit_of(failure.error).code == 2


def test_a_session_without_a_location_is_a_failure(
    registry: MemoryRegistry, visit: Visitor
) -> None:
    registry.fault(Answer(202), method="POST", times=None)
    failure = trial(visit, registry).failure
    assert failure.what == "upload session"
    assert "without a Location" in failure.detail


def test_what_breaks_in_the_middle_leaves_no_session(
    registry: MemoryRegistry, visit: Visitor
) -> None:
    registry.fault(Answer(500, "disk"), method="PATCH", times=None)
    seen = trial(visit, registry)
    assert seen.failure.what == "upload rate"
    assert seen["clean-up"].facts["cancelled"] == 1
    assert registry.open_uploads(REPOSITORY) == 0


def test_a_trial_that_hangs_leaves_no_session(registry: MemoryRegistry, visit: Visitor) -> None:
    registry.fault(Hang(), method="PATCH", times=None)
    seen = trial(visit, registry, timeout=2.0)
    assert seen.failure.what == "upload rate"
    assert seen["clean-up"].facts["cancelled"] == 1
    assert registry.open_uploads(REPOSITORY) == 0


def test_a_trial_that_is_stopped_leaves_no_session(
    registry: MemoryRegistry, visit: Visitor
) -> None:
    def check() -> None:
        if registry.seen("PATCH"):
            raise Interrupted("stopped by SIGINT", 2)

    visit.check = check
    with pytest.raises(Interrupted):
        trial(visit, registry)
    assert len(registry.seen("DELETE")) == 1
    assert registry.open_uploads(REPOSITORY) == 0


def test_a_session_that_cannot_be_cancelled_is_a_warning(visit: Visitor) -> None:
    with MemoryRegistry(Manners(cancel_status=405)) as registry:
        seen = trial(visit, registry)
    assert seen["clean-up"].state is State.WARNING
    assert seen["clean-up"].detail.startswith("0 of 1 upload sessions cancelled")


def test_a_trial_works_with_tokens(tokens: TokenService, visit: Visitor) -> None:
    assert "pusher" in USERS
    with MemoryRegistry(auth=BearerAuth(tokens)) as registry:
        seen = trial(visit, registry, username="pusher", password=USERS["pusher"])
        assert registry.open_uploads(REPOSITORY) == 0
    assert seen.ends_well
    assert seen["clean-up"].facts["cancelled"] == 1
