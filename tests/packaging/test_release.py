"""What a release is checked for before anything is built."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

CHANGELOG = "# Changelog\n\n## 1.2.0 (2026-11-28)\n\n## 1.1.0 (2026-10-01)\n"


def missing(
    version: str = "1.2.0",
    *,
    changelog: str = CHANGELOG,
    fragments: Sequence[str] = ("README.md",),
    status: str = "",
    tags: str = "v1.0.0\nv1.1.0\n",
) -> list[str]:
    """What is missing from a release that is ready but for what is given."""
    from release import missing as found

    return list(found(version, changelog, fragments, status, tags))


def test_a_release_that_is_ready_misses_nothing() -> None:
    assert missing() == []


def test_a_pre_release_is_a_release() -> None:
    assert missing("1.2.0rc1", changelog="## 1.2.0rc1 (2026-11-28)\n") == []


def test_a_tree_with_changes_is_no_release() -> None:
    assert missing(status=" M setup.py\n") == [
        "the tree is not clean: commit or remove\n M setup.py"
    ]


@pytest.mark.parametrize("version", ["1.2", "1.2.0.dev1", "next"])
def test_what_is_no_full_version_is_no_release(version: str) -> None:
    (told,) = missing(version, changelog=f"## {version}\n")
    assert told.startswith(f"`{version}` is no version to release")


def test_a_version_is_released_once() -> None:
    (told,) = missing(tags="v1.2.0\n")
    assert told.startswith("v1.2.0 is released")


def test_a_fragment_that_is_left_holds_a_release_back() -> None:
    (told,) = missing(fragments=("README.md", "42.fixed.md"))
    assert told == "changelog.d still holds 42.fixed.md: run `make changelog`"


@pytest.mark.parametrize("changelog", ["# Changelog\n", "## 1.1.0 (2026-10-01)\n"])
def test_a_changelog_that_begins_with_another_version_holds_a_release_back(changelog: str) -> None:
    assert missing(changelog=changelog) == [
        "CHANGELOG.md does not begin with 1.2.0: run `make changelog`"
    ]


def test_the_last_commands_name_the_version_and_publish_wheels_and_sdist_alone() -> None:
    from release import last_commands

    told = last_commands("1.2.0")
    assert "git tag --sign v1.2.0" in told
    assert "twine upload dist/*.whl dist/*.tar.gz" in told
