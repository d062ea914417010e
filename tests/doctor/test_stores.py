"""Where credentials are kept, and which are chosen; no test finds a secret in what is told."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from idpbuilder.credentials import Given, Surroundings
from idpbuilder.doctor.finding import Finding, State
from idpbuilder.doctor.stores import Finder, chosen, finder, helpers, stores
from idpbuilder.errors import CredentialHelperFailed

SECRET = "correct-horse"
ENTRY = {"auth": base64.b64encode(f"me:{SECRET}".encode()).decode()}


def docker(variables: Mapping[str, str], content: object) -> None:
    path = Path(variables["HOME"], ".docker", "config.json")
    path.parent.mkdir()
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    path.chmod(0o600)


def helper(variables: Mapping[str, str], name: str, script: str) -> None:
    path = Path(variables["PATH"], f"docker-credential-{name}")
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def choice(variables: Mapping[str, str], **given: str) -> Finding:
    find = finder("registry.test", "team/app", Given(**given), Surroundings(variables))
    return chosen("registry.test", find)


def test_nothing_is_told_as_such(variables: dict[str, str]) -> None:
    (found,) = stores(variables)
    assert found.state is State.OK
    assert choice(variables).detail == "none for registry.test"


def test_a_file_is_told_with_its_hosts_and_its_helpers(variables: dict[str, str]) -> None:
    helper(variables, "keeper", "exit 1")
    docker(
        variables,
        {
            "auths": {"registry.test": ENTRY, f"https://me:{SECRET}@other.test": {}},
            "credHelpers": {"third.test": "keeper"},
        },
    )
    file, programs = stores(variables)
    assert file.detail == (
        "~/.docker/config.json: entries for registry.test, other.test; "
        "docker-credential-keeper for third.test"
    )
    assert file.facts["entries"] == ("registry.test", "other.test")
    assert programs.facts["helpers"] == ("docker-credential-keeper",)
    assert SECRET not in repr(file)


def test_a_helper_that_is_not_on_path_is_a_warning(variables: dict[str, str]) -> None:
    docker(variables, {"credsStore": "keeper"})
    (found,) = stores(variables)
    assert found.state is State.WARNING
    assert found.detail.endswith("not on PATH: docker-credential-keeper")


def test_a_broken_file_is_a_warning(variables: dict[str, str]) -> None:
    docker(variables, "{")
    (found,) = stores(variables)
    assert found.state is State.WARNING
    assert found.detail.startswith("`~/.docker/config.json` is not used: ")


def test_an_authfile_stands_alone(variables: dict[str, str], tmp_path: Path) -> None:
    docker(variables, {"auths": {"registry.test": ENTRY}})
    path = tmp_path / "auth.json"
    path.write_text(json.dumps({"auths": {"third.test": ENTRY}}))
    path.chmod(0o600)
    (found,) = stores(variables, str(path))
    assert found.detail == f"{path}: entries for third.test"
    (found,) = stores({**variables, "REGISTRY_AUTH_FILE": str(tmp_path / "none")})
    assert found.state is State.WARNING


def test_credentials_in_a_variable_are_told(variables: dict[str, str]) -> None:
    inline = json.dumps({"auths": {"registry.test": ENTRY}})
    (found,) = stores({**variables, "DOCKER_AUTH_CONFIG": inline})
    assert found.detail == "DOCKER_AUTH_CONFIG: entries for registry.test"


def test_podmans_list_of_helpers_is_told(variables: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "registries.conf"
    path.write_text('credential-helpers = ["keeper"]\n')
    path.chmod(0o600)
    (found,) = stores({**variables, "CONTAINERS_REGISTRIES_CONF": str(path)})
    assert found.detail == f"{path}: docker-credential-keeper for all"


def test_only_what_can_be_run_counts_as_a_helper(variables: dict[str, str]) -> None:
    helper(variables, "b", "")
    helper(variables, "a", "")
    Path(variables["PATH"], "docker-credential-c").touch()
    assert helpers(variables) == ("docker-credential-a", "docker-credential-b")


def test_the_chosen_credentials_are_told_by_their_source(variables: dict[str, str]) -> None:
    docker(variables, {"auths": {"registry.test": ENTRY}})
    found = choice(variables)
    assert found.detail == "for registry.test: user `me`, from ~/.docker/config.json"
    assert SECRET not in repr(found)
    assert choice(variables, username="you", password="x").facts["source"] == "flags or variables"


def test_a_helper_is_asked_and_named(variables: dict[str, str]) -> None:
    docker(variables, {"credsStore": "keeper"})
    answer = json.dumps({"Username": "me", "Secret": SECRET})
    helper(variables, "keeper", f"echo '{answer}'")
    found = choice(variables)
    assert found.facts == {
        "source": "docker-credential-keeper of ~/.docker/config.json",
        "username": "me",
    }


def test_a_helper_that_fails_is_a_warning_as_long_as_nobody_asks_who_we_are(
    variables: dict[str, str],
) -> None:
    docker(variables, {"credsStore": "keeper"})
    helper(variables, "keeper", "echo the vault is shut; exit 1")
    found = choice(variables)
    assert found.state is State.WARNING
    assert "the vault is shut" in found.detail


def test_a_finder_looks_once_and_says_the_same_again() -> None:
    asked = []

    def find() -> None:
        asked.append(1)
        raise CredentialHelperFailed("no credentials", "the vault is shut")

    finds = Finder(find)
    for _ in range(2):
        with pytest.raises(CredentialHelperFailed):
            finds()
    assert asked == [1]
