"""Which credentials win, and what completes what."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from idpbuilder.credentials import Credentials, find_credentials
from idpbuilder.errors import CredentialStoreError, UsageError

HOST = "registry.example.com"


def basic(username: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{username}:{password}".encode()).decode()}


def config(path: Path, auths: Mapping[str, object]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"auths": auths}))
    return path


def find(
    home: Path | None = None,
    registry: str = HOST,
    repository: str = "team/app",
    *,
    username: str | None = None,
    password: str | None = None,
    authfile: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Credentials | None:
    return find_credentials(
        registry,
        repository,
        username=username,
        password=password,
        authfile=authfile,
        environ={**({"HOME": str(home)} if home else {}), **(environ or {})},
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    config(tmp_path / ".docker" / "config.json", {HOST: basic("alice", "stored")})
    return tmp_path


def test_a_user_name_and_a_password_given_win_over_every_store(home: Path) -> None:
    found = find(home, username="bob", password="given")
    assert found is not None
    assert (found.username, found.secret) == ("bob", "given")


def test_given_credentials_do_not_need_a_store_that_can_be_read(tmp_path: Path) -> None:
    found = find(username="bob", password="given", authfile=str(tmp_path / "missing"))
    assert found is not None


def test_the_docker_config_is_the_fallback(home: Path) -> None:
    found = find(home)
    assert found == Credentials("~/.docker/config.json", "alice", "stored")


def test_docker_config_names_the_directory_of_the_file(home: Path, tmp_path: Path) -> None:
    path = config(tmp_path / "elsewhere" / "config.json", {HOST: basic("carol", "c")})
    found = find(home, environ={"DOCKER_CONFIG": str(path.parent)})
    assert found == Credentials(str(path), "carol", "c")


def test_an_authfile_is_the_only_store(home: Path, tmp_path: Path) -> None:
    path = config(tmp_path / "auth.json", {"other.example.com": basic("carol", "c")})
    assert find(home, authfile=str(path)) is None


def test_a_missing_authfile_is_an_error_that_names_it(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "missing.json"
    with pytest.raises(CredentialStoreError, match=str(path)):
        find(home, authfile=str(path))


def test_a_missing_docker_config_is_no_error(tmp_path: Path) -> None:
    assert find(tmp_path) is None
    assert find(environ={"DOCKER_CONFIG": str(tmp_path / "nowhere")}) is None


def test_without_a_home_there_is_no_store() -> None:
    assert find() is None


@pytest.mark.parametrize("empty", [None, ""])
def test_empty_strings_count_as_unset(home: Path, empty: str | None) -> None:
    found = find(
        home, username=empty, password=empty, authfile=empty, environ={"DOCKER_CONFIG": ""}
    )
    assert found is not None
    assert found.username == "alice"


def test_a_user_name_without_a_password_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        find(tmp_path, username="bob")
    assert "--password-stdin" in caught.value.hint


def test_a_password_without_a_user_name_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        find(tmp_path, password="s3cret")
    assert "--username" in caught.value.hint
    assert "s3cret" not in caught.value.message + caught.value.hint


def test_a_password_alone_takes_the_user_name_of_the_stored_entry(home: Path) -> None:
    found = find(home, password="given")
    assert found is not None
    assert (found.username, found.secret) == ("alice", "given")


def test_a_user_name_is_never_paired_with_another_users_secret(home: Path) -> None:
    with pytest.raises(UsageError):
        find(home, username="bob")


def test_a_user_name_is_completed_by_the_same_users_stored_secret(home: Path) -> None:
    assert find(home, username="alice") == Credentials("~/.docker/config.json", "alice", "stored")


def test_a_password_does_not_take_an_identity_tokens_place(tmp_path: Path) -> None:
    path = config(tmp_path / "a.json", {HOST: {"auth": "", "identitytoken": "idt"}})
    with pytest.raises(UsageError):
        find(password="given", authfile=str(path))


def test_no_secret_is_in_a_repr(home: Path) -> None:
    text = repr(find(home))
    assert "alice" in text
    assert "stored" not in text
