"""The forms an entry may have, and the ways in which a file can be broken."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idpbuilder.credentials import Credentials
from idpbuilder.credentials.docker_config import DockerConfig
from idpbuilder.errors import CredentialStoreError

HOST = "registry.example.com"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def stored(tmp_path: Path, content: object) -> DockerConfig:
    path = tmp_path / "config.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return DockerConfig(str(path), "the file")


def entry(tmp_path: Path, value: object) -> Credentials | None:
    return stored(tmp_path, {"auths": {HOST: value}}).find(HOST, "app")


def test_auth_is_base64_of_user_and_password(tmp_path: Path) -> None:
    assert entry(tmp_path, {"auth": encoded("alice:pw")}) == Credentials("the file", "alice", "pw")


def test_a_password_may_hold_colons(tmp_path: Path) -> None:
    found = entry(tmp_path, {"auth": encoded("alice:p:w:")})
    assert found is not None
    assert found.secret == "p:w:"


@pytest.mark.parametrize("password", ["p", "pw", "pwd"])
def test_the_padding_of_auth_may_be_absent(tmp_path: Path, password: str) -> None:
    found = entry(tmp_path, {"auth": encoded(f"alice:{password}").rstrip("=")})
    assert found is not None
    assert found.secret == password


def test_zero_bytes_around_a_password_are_dropped_as_docker_does(tmp_path: Path) -> None:
    found = entry(tmp_path, {"auth": encoded("alice:pw\0\0")})
    assert found is not None
    assert found.secret == "pw"


def test_user_name_and_password_may_stand_in_fields_of_their_own(tmp_path: Path) -> None:
    found = entry(tmp_path, {"username": "alice", "password": "pw"})
    assert found == Credentials("the file", "alice", "pw")


def test_auth_wins_over_the_fields(tmp_path: Path) -> None:
    value = {"username": "old", "password": "old", "auth": encoded("alice:pw")}
    found = entry(tmp_path, value)
    assert found == Credentials("the file", "alice", "pw")


def test_an_identity_token_comes_with_the_user_name_beside_it(tmp_path: Path) -> None:
    found = entry(tmp_path, {"auth": encoded("0000:"), "identitytoken": "idt"})
    assert found == Credentials("the file", "0000", identity_token="idt")


def test_the_user_name_token_makes_an_identity_token_of_the_secret(tmp_path: Path) -> None:
    found = entry(tmp_path, {"auth": encoded("<token>:idt")})
    assert found == Credentials("the file", identity_token="idt")


def test_a_registry_token_is_an_access_token(tmp_path: Path) -> None:
    found = entry(tmp_path, {"registrytoken": "abc.def"})
    assert found == Credentials("the file", registry_token="abc.def")


def test_a_registry_token_that_would_break_a_header_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CredentialStoreError) as caught:
        entry(tmp_path, {"registrytoken": "abc\r\nX-Evil: 1"})
    assert "Evil" not in caught.value.message


def test_an_empty_entry_gives_way_to_a_less_specific_one(tmp_path: Path) -> None:
    auths = {f"{HOST}/team": {}, HOST: {"auth": encoded("alice:pw")}}
    found = stored(tmp_path, {"auths": auths}).find(HOST, "team/app")
    assert found is not None
    assert found.username == "alice"


@pytest.mark.parametrize("content", ["", " \n", "{}", '{"auths": null}', '{"credsStore": "x"}'])
def test_a_file_without_auths_holds_nothing(tmp_path: Path, content: str) -> None:
    assert stored(tmp_path, content).find(HOST, "app") is None


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "[" * 100_000,
        '{"auths": []}',
        '{"auths": {"registry.example.com": "x"}}',
        '{"auths": {"registry.example.com": {"auth": 7}}}',
        '{"auths": {"registry.example.com": {"auth": "%%%"}}}',
        '{"auths": {"registry.example.com": {"auth": "czNjcmV0"}}}',
        '{"auths": {"registry.example.com": {"auth": "/////w=="}}}',
    ],
)
def test_a_broken_file_is_an_error_that_names_it(tmp_path: Path, content: str) -> None:
    with pytest.raises(CredentialStoreError, match="the file") as caught:
        stored(tmp_path, content).find(HOST, "app")
    assert "s3cret" not in caught.value.message


def test_a_broken_entry_of_another_registry_does_not_matter(tmp_path: Path) -> None:
    auths = {"other.example.com": {"auth": "%%%"}, HOST: {"auth": encoded("alice:pw")}}
    assert stored(tmp_path, {"auths": auths}).find(HOST, "app") is not None


def test_a_file_that_cannot_be_read_is_an_error_with_the_systems_reason(tmp_path: Path) -> None:
    with pytest.raises(CredentialStoreError, match="is a directory"):
        DockerConfig(str(tmp_path), "the file").find(HOST, "app")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_an_error(tmp_path: Path) -> None:
    config = stored(tmp_path, {})
    os.chmod(config.path, 0)
    with pytest.raises(CredentialStoreError, match="permission denied"):
        config.find(HOST, "app")


@given(st.text().filter(lambda text: ":" not in text and "\0" not in text), st.text())
def test_every_user_and_password_come_back(
    tmp_path_factory: pytest.TempPathFactory, username: str, password: str
) -> None:
    password = password.strip("\0")
    if username == "<token>" or not username + password:
        return
    found = entry(tmp_path_factory.mktemp("c"), {"auth": encoded(f"{username}:{password}")})
    assert found == Credentials("the file", username, password)
