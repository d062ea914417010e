"""The forms an entry may have, and the ways in which a file can be broken."""

from __future__ import annotations

import base64
import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idpbuilder.credentials import Credentials
from idpbuilder.credentials.credential_helper import Helper
from idpbuilder.credentials.docker_config import Candidate, DockerConfig, Form
from idpbuilder.credentials.unusable import Unusable
from idpbuilder.registry.token import basic as basic_header

HOST = "registry.example.com"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "surrogateescape")).decode()


def candidates(
    content: object, registry: str = HOST, repository: str = "app", form: Form = Form.PODMAN
) -> tuple[Candidate, ...]:
    text = content if isinstance(content, str) else json.dumps(content)
    return DockerConfig.parse(text.encode(), "the file", form).candidates(registry, repository)


def entry(value: object) -> Credentials | None:
    found = candidates({"auths": {HOST: value}})
    assert all(isinstance(one, Credentials) for one in found)
    return found[0] if found else None  # type: ignore[return-value]


def test_auth_is_base64_of_user_and_password() -> None:
    assert entry({"auth": encoded("alice:pw")}) == Credentials("the file", "alice", "pw")


def test_a_password_may_hold_colons() -> None:
    found = entry({"auth": encoded("alice:p:w:")})
    assert found is not None
    assert found.secret == "p:w:"


@pytest.mark.parametrize("password", ["p", "pw", "pwd"])
def test_the_padding_of_auth_may_be_absent(password: str) -> None:
    found = entry({"auth": encoded(f"alice:{password}").rstrip("=")})
    assert found is not None
    assert found.secret == password


def test_zero_bytes_around_a_password_are_dropped_as_docker_does() -> None:
    found = entry({"auth": encoded("alice:pw\0\0")})
    assert found is not None
    assert found.secret == "pw"


def test_a_password_of_every_kind_of_byte_reaches_the_header_as_it_is() -> None:
    octets = b"alice:x" + bytes(range(256)) + b"x"
    found = entry({"auth": base64.b64encode(octets).decode()})
    assert found is not None
    header = basic_header(found.username, found.secret)
    assert base64.b64decode(header.removeprefix("Basic ")) == octets


def test_halves_of_characters_are_replaced_as_docker_does() -> None:
    found = entry({"username": "a", "password": "x\ud800"})
    assert found == Credentials("the file", "a", "x\ufffd")


def test_user_name_and_password_may_stand_in_fields_of_their_own() -> None:
    found = entry({"username": "alice", "password": "pw"})
    assert found == Credentials("the file", "alice", "pw")


def test_auth_wins_over_the_fields() -> None:
    value = {"username": "old", "password": "old", "auth": encoded("alice:pw")}
    assert entry(value) == Credentials("the file", "alice", "pw")


def test_an_identity_token_comes_with_the_user_name_beside_it() -> None:
    found = entry({"auth": encoded("0000:"), "identitytoken": "idt"})
    assert found == Credentials("the file", "0000", identity_token="idt")


def test_the_user_name_token_makes_an_identity_token_of_the_secret() -> None:
    found = entry({"auth": encoded("<token>:idt")})
    assert found == Credentials("the file", identity_token="idt")


def test_a_registry_token_is_an_access_token() -> None:
    found = entry({"registrytoken": "abc.def"})
    assert found == Credentials("the file", registry_token="abc.def")


def test_an_empty_entry_gives_way_to_a_less_specific_one() -> None:
    auths = {f"{HOST}/team": {}, HOST: {"auth": encoded("alice:pw")}}
    found = candidates({"auths": auths}, repository="team/app")
    assert found == (Credentials("the file", "alice", "pw"),)


@pytest.mark.parametrize(
    "content",
    [
        "",
        " \n",
        "{}",
        '{"auths": null, "credHelpers": null, "credsStore": null}',
        '{"auths": {"registry.example.com": null}}',
    ],
)
def test_a_file_without_auths_holds_nothing(content: str) -> None:
    assert candidates(content) == ()


@pytest.mark.parametrize(
    ("form", "found"), [(Form.DOCKER, True), (Form.OLD, True), (Form.PODMAN, False)]
)
def test_to_docker_a_key_with_a_path_speaks_of_its_whole_host(form: Form, found: bool) -> None:
    auths: dict[str, object] = {f"{HOST}/team": {"auth": encoded("alice:pw")}}
    content = auths if form is Form.OLD else {"auths": auths}
    assert bool(candidates(content, repository="other/app", form=form)) is found
    assert candidates(content, repository="team/app", form=form)


def test_the_old_file_is_nothing_but_auths() -> None:
    content = {f"https://{HOST}/v1/": {"auth": encoded("alice:pw"), "email": "a@example.com"}}
    kept = Credentials("the file", "alice", "pw")
    assert candidates(content, form=Form.OLD) == (kept,)
    assert candidates({**content, "credsStore": "x"}, form=Form.OLD) == (kept,)


def test_names_of_fields_come_in_any_case_as_with_docker() -> None:
    content = {"AUTHS": {HOST: {"Auth": encoded("alice:"), "identityToken": "idt"}}}
    assert candidates(content) == (Credentials("the file", "alice", identity_token="idt"),)
    (helper,) = candidates({"CREDSSTORE": "x"})
    assert isinstance(helper, Helper)


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "7",
        "[" * 100_000,
        '{"auths": []}',
        '{"credHelpers": "x"}',
        '{"credsStore": ["x"]}',
        '{"credHelpers": {"registry.example.com": 7}}',
        '{"auths": {"registry.example.com": "x"}}',
        '{"auths": {"registry.example.com": {"auth": 7}}}',
        '{"auths": {"registry.example.com": {"auth": "%%%"}}}',
        '{"auths": {"registry.example.com": {"auth": "czNjcmV0"}}}',
        '{"auths": {"registry.example.com": {"auth": "/////w=="}}}',
        '{"auths": {"registry.example.com": {"username": "a:b", "password": "s3cret"}}}',
        '{"auths": {"registry.example.com": {"registrytoken": "s3cret\\r\\nX-Evil: 1"}}}',
    ],
)
def test_a_broken_file_is_told_without_what_is_in_it(content: str) -> None:
    with pytest.raises(Unusable) as caught:
        candidates(content)
    for secret in ("s3cret", "czNjcmV0", "Evil"):
        assert secret not in str(caught.value)


def test_a_broken_entry_of_another_registry_does_not_matter() -> None:
    auths = {"other.example.com": {"auth": "%%%"}, HOST: {"auth": encoded("alice:pw")}}
    assert len(candidates({"auths": auths})) == 1


def test_a_helper_for_the_registry_comes_before_the_one_for_all_and_that_before_auths() -> None:
    kept = Credentials("the file", "alice", "pw")
    content: dict[str, object] = {"auths": {HOST: {"auth": encoded("alice:pw")}}}
    content["credsStore"] = "all"
    assert candidates(content) == (Helper("all", (HOST,), "the file", may_be_missing=True), kept)
    content["credHelpers"] = {HOST: "one"}
    assert candidates(content) == (Helper("one", (HOST,), "the file"), kept)
    assert candidates(content, "other.example.com")[0] == Helper(
        "all", ("other.example.com",), "the file", may_be_missing=True
    )


def test_a_helper_without_a_name_takes_its_registry_out_of_the_store_for_all() -> None:
    content = {"credsStore": "all", "credHelpers": {HOST: ""}}
    assert candidates(content) == ()


@pytest.mark.parametrize("key", ["https://index.docker.io/v1/", "index.docker.io", "docker.io"])
def test_a_helper_is_asked_for_docker_hub_under_dockers_name_for_it_then_podmans(key: str) -> None:
    (helper,) = candidates({"credHelpers": {key: "hub"}}, "docker.io", "team/app")
    assert helper == Helper("hub", ("https://index.docker.io/v1/", "docker.io"), "the file")


@pytest.mark.parametrize(
    "name", ["../evil", "/bin/sh", "a/b", "x y", "x;y", "-x", ".", "..", "$(x)", "x\n", "\0"]
)
@pytest.mark.parametrize("where", ["credsStore", "credHelpers"])
def test_a_helper_whose_name_is_no_name_makes_the_file_unusable(name: str, where: str) -> None:
    value = name if where == "credsStore" else {HOST: name}
    with pytest.raises(Unusable, match="names no helper"):
        candidates({where: value})


def test_no_secret_is_in_the_repr() -> None:
    config = DockerConfig.parse(b'{"auths": {"a": {"auth": "czNjcmV0"}}}', "the file")
    assert "czNjcmV0" not in repr(config)


@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters=":\0")),
    st.text(st.characters(exclude_categories=["Cs"])),
)
def test_every_user_and_password_come_back(username: str, password: str) -> None:
    password = password.strip("\0")
    if username == "<token>" or not username + password:
        return
    found = entry({"auth": encoded(f"{username}:{password}")})
    assert found == Credentials("the file", username, password)


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from([HOST, "auths", "auth", "credsStore", "credHelpers", "username"]),
        inner, max_size=3,
    ),
))  # fmt: skip
def test_nothing_that_is_json_breaks_the_reading(content: object) -> None:
    with suppress(Unusable):
        candidates(content if not isinstance(content, str) else json.dumps(content))
