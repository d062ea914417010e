"""Which credentials win, and what completes what."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from idpbuilder.credentials import Credentials
from idpbuilder.errors import UsageError
from tests.credentials.stored import HOST, Machine, basic, config, write

DOCKER = "~/.docker/config.json"


@pytest.fixture
def signed_in(machine: Machine) -> Machine:
    """alice has signed in with docker."""
    machine.docker({HOST: basic("alice", "stored")})
    return machine


def test_a_user_name_and_a_password_given_win_over_every_store(signed_in: Machine) -> None:
    found = signed_in.find(username="bob", password="given")
    assert found == Credentials("flags or variables", "bob", "given")


def test_given_credentials_do_not_need_a_store_that_can_be_read(machine: Machine) -> None:
    write(machine.home / ".docker/config.json", "{")
    assert machine.find(username="bob", password="given") is not None
    assert machine.warnings == []


def test_the_docker_config_is_found(signed_in: Machine) -> None:
    assert signed_in.find() == Credentials(DOCKER, "alice", "stored")


def test_docker_config_names_the_folder_of_the_file(signed_in: Machine, tmp_path: Path) -> None:
    path = config(tmp_path / "elsewhere" / "config.json", {HOST: basic("carol", "c")})
    signed_in.variables["DOCKER_CONFIG"] = str(path.parent)
    assert signed_in.find() == Credentials(str(path), "carol", "c")


def test_podmans_file_is_found(machine: Machine) -> None:
    path = machine.podman({HOST: basic("pod", "p")})
    assert machine.find() == Credentials(str(path), "pod", "p")


def test_podmans_lasting_file_is_found(machine: Machine) -> None:
    config(machine.home / ".config/containers/auth.json", {HOST: basic("pod", "p")})
    assert machine.find() == Credentials("~/.config/containers/auth.json", "pod", "p")


def test_docker_comes_before_podman_and_what_it_lacks_is_found_there(machine: Machine) -> None:
    machine.docker({HOST: basic("docker", "d")})
    machine.podman({HOST: basic("podman", "p"), "other.example.com": basic("other", "o")})
    assert machine.user() == "docker"
    assert machine.user("other.example.com") == "other"


def test_the_variable_comes_before_the_files_and_gives_way_where_it_has_nothing(
    signed_in: Machine,
) -> None:
    inline = {"auths": {"other.example.com": basic("env", "e")}}
    signed_in.variables["DOCKER_AUTH_CONFIG"] = json.dumps(inline)
    assert signed_in.find("other.example.com") == Credentials("DOCKER_AUTH_CONFIG", "env", "e")
    assert signed_in.user() == "alice"


def test_the_variable_names_no_helpers(signed_in: Machine) -> None:
    signed_in.keeps("x", "helped", "h")
    inline = {"credsStore": "x", "credHelpers": {HOST: "x"}}
    signed_in.variables["DOCKER_AUTH_CONFIG"] = json.dumps(inline)
    assert signed_in.user() == "alice"


def test_a_broken_variable_is_a_warning_that_shows_nothing_of_it(signed_in: Machine) -> None:
    signed_in.variables["DOCKER_AUTH_CONFIG"] = '{"s3cret'
    assert signed_in.user() == "alice"
    assert signed_in.warnings == [
        "`DOCKER_AUTH_CONFIG` is not used for credentials: it is not JSON"
    ]


@pytest.mark.parametrize("by_variable", [False, True])
def test_an_authfile_is_the_only_store(
    signed_in: Machine, tmp_path: Path, by_variable: bool
) -> None:
    path = config(tmp_path / "auth.json", {"other.example.com": basic("carol", "c")})
    signed_in.variables["DOCKER_AUTH_CONFIG"] = json.dumps({"auths": {HOST: basic("env", "e")}})
    signed_in.podman({HOST: basic("podman", "p")})
    if by_variable:
        signed_in.variables["REGISTRY_AUTH_FILE"] = str(path)
    authfile = None if by_variable else path
    assert signed_in.find(authfile=authfile) is None
    found = signed_in.find("other.example.com", authfile=authfile)
    assert found == Credentials(str(path), "carol", "c")


def test_the_flag_wins_over_the_variable(machine: Machine, tmp_path: Path) -> None:
    machine.variables["REGISTRY_AUTH_FILE"] = str(tmp_path / "missing.json")
    path = config(tmp_path / "auth.json", {HOST: basic("carol", "c")})
    assert machine.find(authfile=path) is not None
    assert machine.warnings == []


@pytest.mark.parametrize("given", [{}, {"username": "bob", "password": "given"}])
def test_a_missing_authfile_is_an_error_at_once(
    signed_in: Machine, tmp_path: Path, given: dict[str, str]
) -> None:
    path = tmp_path / "missing.json"
    with pytest.raises(UsageError, match=str(path)) as caught:
        signed_in.lookup(authfile=str(path), **given)
    assert "--authfile" in caught.value.message


def test_a_missing_file_that_a_variable_names_is_a_warning_when_it_is_needed(
    signed_in: Machine, tmp_path: Path
) -> None:
    path = str(tmp_path / "missing.json")
    signed_in.variables["REGISTRY_AUTH_FILE"] = path
    lookup = signed_in.lookup()
    assert signed_in.warnings == []
    assert lookup() is None
    assert signed_in.warnings == [f"`{path}` is not used for credentials: there is no such file"]


def test_a_missing_docker_config_is_no_error(machine: Machine, tmp_path: Path) -> None:
    assert machine.find() is None
    machine.variables["DOCKER_CONFIG"] = str(tmp_path / "nowhere")
    assert machine.find() is None
    assert machine.warnings == []


def test_empty_strings_count_as_unset(signed_in: Machine) -> None:
    names = ("DOCKER_CONFIG", "DOCKER_AUTH_CONFIG", "REGISTRY_AUTH_FILE", "XDG_CONFIG_HOME")
    signed_in.variables.update(dict.fromkeys(names, ""))
    found = signed_in.find(username="", password="", authfile="")
    assert found == Credentials(DOCKER, "alice", "stored")


def test_a_user_name_without_a_password_is_a_usage_error_at_once(machine: Machine) -> None:
    with pytest.raises(UsageError) as caught:
        machine.lookup(username="bob")
    assert "--password-stdin" in caught.value.hint


def test_a_password_without_a_user_name_is_a_usage_error_at_once(machine: Machine) -> None:
    with pytest.raises(UsageError) as caught:
        machine.lookup(password="s3cret")
    assert "--username" in caught.value.hint
    assert "s3cret" not in caught.value.message + caught.value.hint


def test_a_password_alone_takes_the_user_name_of_the_stored_entry(signed_in: Machine) -> None:
    found = signed_in.find(password="given")
    assert found == Credentials("flags or variables", "alice", "given")


def test_a_user_name_is_never_paired_with_another_users_secret(signed_in: Machine) -> None:
    with pytest.raises(UsageError):
        signed_in.lookup(username="bob")


def test_a_user_name_is_completed_by_the_same_users_stored_secret(signed_in: Machine) -> None:
    assert signed_in.find(username="alice") == Credentials(DOCKER, "alice", "stored")


def test_a_password_does_not_take_an_identity_tokens_place(machine: Machine) -> None:
    machine.docker({HOST: {"auth": "", "identitytoken": "idt"}})
    with pytest.raises(UsageError):
        machine.find(password="given")


def test_what_a_helper_may_complete_is_asked_for_only_when_it_is_needed(machine: Machine) -> None:
    machine.docker({}, credsStore="x")
    machine.keeps("x", "alice", "kept")
    lookup = machine.lookup(password="given")
    assert machine.calls == []
    assert lookup() == Credentials("flags or variables", "alice", "given")
    wrong = machine.lookup(username="bob")
    with pytest.raises(UsageError, match="bob"):
        wrong()


def test_the_most_specific_path_of_podmans_file_wins(machine: Machine) -> None:
    machine.podman({HOST: basic("all", "1"), f"{HOST}/team": basic("team", "2")})
    assert machine.user(repository="team/app") == "team"
    assert machine.user(repository="app") == "all"


def test_lookups_that_come_to_the_same_are_equal_whatever_the_repository(machine: Machine) -> None:
    machine.docker({HOST: basic("all", "1"), f"{HOST}/team": basic("team", "2")}, credsStore="x")
    stores = machine.stores()
    team, other = stores.lookup(HOST, "team/a"), stores.lookup(HOST, "team/b")
    assert team == other
    assert hash(team) == hash(other)
    assert team != stores.lookup(HOST, "app")


def test_a_warning_is_given_once(machine: Machine) -> None:
    write(machine.home / ".docker/config.json", "{")
    stores = machine.stores()
    for repository in ("a", "b"):
        assert stores.lookup(HOST, repository)() is None
    assert machine.warnings == [f"`{DOCKER}` is not used for credentials: it is not JSON"]


def test_what_is_broken_does_not_hide_what_comes_after_it(machine: Machine) -> None:
    write(machine.home / ".docker/config.json", "{")
    machine.podman({HOST: basic("pod", "p")})
    assert machine.user() == "pod"
    assert len(machine.warnings) == 1


def test_no_secret_is_in_a_repr(signed_in: Machine) -> None:
    lookup = signed_in.lookup(password="given")
    text = repr([signed_in.find(), lookup, signed_in.lookup()])
    assert "alice" in text
    assert "stored" not in text
    assert "given" not in text


def test_what_docker_wrote_of_old_comes_last(machine: Machine) -> None:
    auths = {f"https://{HOST}/v1/": {**basic("old", "o"), "email": "a@example.com"}}
    write(machine.home / ".dockercfg", auths)
    assert machine.find() == Credentials("~/.dockercfg", "old", "o")
    machine.podman({HOST: basic("pod", "p")})
    assert machine.user() == "pod"


def installed(machine: Machine, program: str) -> None:
    (machine.programs / program).touch(mode=0o755)


@pytest.mark.parametrize(
    ("platform", "name"),
    [("linux", "pass"), ("linux", "secretservice"), ("darwin", "osxkeychain")],
)
def test_where_dockers_file_says_nothing_its_default_store_is_asked_last(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, platform: str, name: str
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    machine.keeps(name, "alice", "s3cret")
    if name == "pass":
        assert machine.find() is None
        installed(machine, "pass")
    assert machine.find() == Credentials(
        f"docker-credential-{name} of docker's default store", "alice", "s3cret"
    )
    config(machine.home / ".config/containers/auth.json", {HOST: basic("pod", "p")})
    assert machine.user() == "pod"
    assert machine.warnings == []


@pytest.mark.parametrize(
    "said", [{"credsStore": "x"}, {"credHelpers": {"other": "x"}}, {"auths": {"other": {}}}]
)
def test_dockers_default_store_is_not_asked_where_its_file_says_something(
    machine: Machine, said: dict[str, object]
) -> None:
    machine.keeps("secretservice", "alice", "s3cret")
    write(machine.home / ".docker/config.json", said)
    assert machine.find() is None
    assert machine.calls == []


def test_a_default_store_that_fails_is_nothing_to_warn_of(machine: Machine) -> None:
    write(machine.home / ".docker/config.json", {"psFormat": "table"})
    machine.helper("secretservice", "print('no such bus'); sys.exit(1)")
    assert machine.find() is None
    assert machine.warnings == []
    (note,) = machine.notes
    assert note.endswith("it ended with exit code 1 (no such bus)")


def test_an_authfile_leaves_the_default_store_alone(machine: Machine, tmp_path: Path) -> None:
    machine.keeps("secretservice", "alice", "s3cret")
    assert machine.find(authfile=config(tmp_path / "auth.json", {})) is None
    assert machine.calls == []


@pytest.mark.parametrize("given", [{"username": "alice"}, {"password": "given"}])
def test_half_of_what_is_needed_is_not_completed_by_the_default_store(
    machine: Machine, given: dict[str, str]
) -> None:
    machine.keeps("secretservice", "alice", "s3cret")
    with pytest.raises(UsageError):
        machine.lookup(**given)
    assert machine.calls == []
