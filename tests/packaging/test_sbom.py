"""Bills of materials say what is asked for and what is there, and the same at any time."""

from __future__ import annotations

import json
import re
from importlib.metadata import distribution
from typing import Any

import pytest

REQUIREMENTS = (
    "click>=8.1.7",
    "isal<1.10,>=1.9",
    'backports.zstd>=1.0; python_version < "3.14"',
    "idpbuilder_extra[fast]",
)


def of_wheel() -> dict[str, Any]:
    """That of a wheel that asks for REQUIREMENTS."""
    from sbom import of_wheel

    document: dict[str, Any] = of_wheel(
        "idpbuilder-push", "1.2.3", "Apache-2.0", REQUIREMENTS, ("pytest", "not-installed")
    )
    return document


def test_a_wheel_tells_the_ranges_that_it_asks_for() -> None:
    ranges = {part["name"]: part["versionRange"] for part in of_wheel()["components"]}
    assert ranges == {
        "click": "vers:pypi/>=8.1.7",
        "isal": "vers:pypi/>=1.9|<1.10",
        "backports-zstd": "vers:pypi/>=1.0",
        "idpbuilder-extra": "vers:pypi/*",
    }


def test_a_wheel_tells_where_a_requirement_counts() -> None:
    told = {part["name"]: part.get("properties") for part in of_wheel()["components"]}
    marker = [{"name": "idpbuilder-push:marker", "value": 'python_version < "3.14"'}]
    assert told["backports-zstd"] == marker
    assert told["click"] is None


def test_a_wheel_depends_on_all_that_it_asks_for() -> None:
    own, *others = of_wheel()["dependencies"]
    assert own["ref"] == "pkg:pypi/idpbuilder-push@1.2.3"
    assert own["dependsOn"] == [other["ref"] for other in others]
    assert len(others) == len(REQUIREMENTS)


def test_a_wheel_tells_the_tools_that_were_there() -> None:
    (tool,) = of_wheel()["metadata"]["tools"]["components"]
    assert (tool["name"], tool["version"]) == ("pytest", pytest.__version__)


def test_the_same_wheel_has_the_same_bill() -> None:
    text = json.dumps(of_wheel())
    assert text == json.dumps(of_wheel())
    assert not re.search(r"serialNumber|timestamp", text)


@pytest.mark.parametrize("requirement", ["click~=8.1", "click==8.*", "click>=8.1rc1"])
def test_a_requirement_that_is_no_plain_range_is_refused(requirement: str) -> None:
    from sbom import of_wheel

    with pytest.raises(ValueError, match="is no comparison"):
        of_wheel("idpbuilder-push", "1", "Apache-2.0", [requirement], ())


def test_an_environment_tells_the_versions_that_are_there() -> None:
    from sbom import NAME, of_environment

    document = of_environment(NAME)
    versions = {part["name"]: part["version"] for part in document["components"]}
    assert versions["click"] == distribution("click").version
    own, *others = document["dependencies"]
    assert own["ref"] == f"pkg:pypi/{NAME}@{distribution(NAME).version}"
    needed = {ref.removeprefix("pkg:pypi/").partition("@")[0] for ref in own["dependsOn"]}
    assert {"certifi", "click", "isal", "pycurl", "xxhash"} <= needed
    assert not needed & {"pytest", NAME}
    assert set(own["dependsOn"]) <= {other["ref"] for other in others}


def test_an_environment_tells_the_libraries_that_wheels_bring_along() -> None:
    import pycurl

    from sbom import NAME, of_environment

    parts = {
        part["name"]: part.get("components", []) for part in of_environment(NAME)["components"]
    }
    brought = {inner["name"]: inner["version"] for inner in parts["pycurl"]}
    assert brought["libcurl"] == pycurl.version_info()[1]
    assert [inner["name"] for inner in parts["isal"]] == ["isa-l"]
