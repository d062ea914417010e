"""Bills of materials in CycloneDX: of a wheel by itself, and of a place where it is installed.

A wheel knows only which ranges of versions it asks for: `of_wheel`, which setup.py puts into it
(PEP 770). `PYTHON packaging/sbom.py` runs in an environment where the wheel is installed with all
it needs and nothing else, and prints what is there, with the libraries that wheels bring along.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from typing import Any

NAME = "idpbuilder-push"
# what pip and `venv` put into an environment is no part of what was installed there
INSTALLERS = {"pip", "setuptools", "wheel"}

_REQUIREMENT = re.compile(r"([\w.-]+)\s*(?:\[[^]]*\])?\s*\(?([^;)]*)\)?\s*(?:;(.*))?")
_COMPARISON = re.compile(r"(>=|<=|!=|==|<|>)\s*([\d.]+)")

Document = dict[str, Any]


def of_wheel(
    name: str, version: str, license_id: str, requirements: Iterable[str], tools: Iterable[str]
) -> Document:
    """The wheel by itself: what it asks for, and the `tools` that built it.

    Raises ValueError for a requirement that is no range of plain versions.
    """
    asked = [_asked(requirement) for requirement in requirements]
    made_by = [_component(distribution(tool)) for tool in tools if _is_installed(tool)]
    return _document(_subject(name, version, license_id), asked, {}, "build", made_by)


def of_environment(name: str) -> Document:
    """What is installed beside this file's Python, with `name` as its subject.

    Raises PackageNotFoundError where `name` is not installed.
    """
    own = distribution(name)
    others = sorted(
        (found for found in distributions() if canonical(found.name) not in {name, *INSTALLERS}),
        key=lambda found: canonical(found.name),
    )
    brought = bundled()
    components = [_component(found) for found in others]
    for component in components:
        inner = [_library(*pair) for pair in brought.get(component["name"], ())]
        if inner:
            component["components"] = inner
    present = {canonical(found.name) for found in others}
    needs = {
        _purl(found.name, found.version): [
            other["bom-ref"]
            for other in components
            if other["name"] in set(_required(found)) & present
        ]
        for found in others
    }
    license_id = own.metadata["License-Expression"]
    subject = _subject(name, own.version, license_id)
    direct = set(_required(own))
    document = _document(subject, components, needs, "post-build", [])
    document["dependencies"][0]["dependsOn"] = [
        other["bom-ref"] for other in components if other["name"] in direct
    ]
    return document


def bundled() -> dict[str, list[tuple[str, str]]]:
    """The libraries that are compiled into what we need, as these tell themselves."""
    import isal
    import pycurl
    import xxhash

    told = [word.partition("/")[::2] for word in pycurl.version.split()]
    found = {
        "pycurl": [pair for pair in told if pair[0] != "PycURL"],
        "isal": [("isa-l", isal.ISAL_VERSION)],
        "xxhash": [("xxHash", xxhash.XXHASH_VERSION)],
    }
    try:
        from backports import zstd
    except ImportError:
        # from Python 3.14 it is Python's own
        return found
    return {**found, "backports-zstd": [("zstd", zstd.zstd_version)]}


def canonical(name: str) -> str:
    """The one spelling of a distribution's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def version_range(specifiers: str) -> str:
    """`>=1.9,<1.10` as `vers:pypi/>=1.9|<1.10`, the lowest first, or `*` for none.

    Raises ValueError for what is no list of plain comparisons.
    """
    found = []
    for part in filter(None, map(str.strip, specifiers.split(","))):
        match = _COMPARISON.fullmatch(part)
        if match is None:
            raise ValueError(f"`{part}` is no comparison that a range of versions can hold")
        sign, version = match.groups()
        found.append(([int(number) for number in version.split(".")], sign, version))
    told = [version if sign == "==" else f"{sign}{version}" for _, sign, version in sorted(found)]
    return f"vers:pypi/{'|'.join(told) or '*'}"


def _document(
    subject: Document,
    components: list[Document],
    needs: dict[str, list[str]],
    phase: str,
    tools: list[Document],
) -> Document:
    metadata: Document = {"lifecycles": [{"phase": phase}], "component": subject}
    if tools:
        metadata["tools"] = {"components": tools}
    refs = [component["bom-ref"] for component in components]
    # neither a time nor a random number: the same wheel has the same bytes whenever it is built
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.7.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.7",
        "version": 1,
        "metadata": metadata,
        "components": components,
        "dependencies": [
            {"ref": subject["bom-ref"], "dependsOn": refs},
            *({"ref": ref, "dependsOn": needs.get(ref, [])} for ref in refs),
        ],
    }


def _subject(name: str, version: str, license_id: str) -> Document:
    purl = _purl(name, version)
    return {
        "type": "application",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "licenses": [{"expression": license_id}],
        "purl": purl,
    }


def _asked(requirement: str) -> Document:
    match = _REQUIREMENT.fullmatch(requirement.strip())
    if match is None:
        raise ValueError(f"`{requirement}` is no requirement")
    name, specifiers, marker = match.groups()
    purl = f"pkg:pypi/{canonical(name)}"
    component: Document = {
        "type": "library",
        "bom-ref": purl,
        "name": canonical(name),
        "versionRange": version_range(specifiers),
        "isExternal": True,
        "purl": purl,
    }
    if marker:
        component["properties"] = [{"name": f"{NAME}:marker", "value": marker.strip()}]
    return component


def _component(found: Distribution) -> Document:
    purl = _purl(found.name, found.version)
    component: Document = {
        "type": "library",
        "bom-ref": purl,
        "name": canonical(found.name),
        "version": found.version,
        "purl": purl,
    }
    about = found.metadata
    if "License-Expression" in about:
        component["licenses"] = [{"expression": about["License-Expression"]}]
    # some put the whole text there
    elif "License" in about and "\n" not in about["License"]:
        component["licenses"] = [{"license": {"name": about["License"]}}]
    return component


def _library(name: str, version: str) -> Document:
    return {"type": "library", "name": name, "version": version}


def _required(found: Distribution) -> Iterator[str]:
    for requirement in found.requires or ():
        match = _REQUIREMENT.fullmatch(requirement)
        if match is not None and "extra ==" not in requirement:
            yield canonical(match[1])


def _purl(name: str, version: str) -> str:
    return f"pkg:pypi/{canonical(name)}@{version}"


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


if __name__ == "__main__":
    json.dump(of_environment(NAME), sys.stdout, indent=2)
    print()
