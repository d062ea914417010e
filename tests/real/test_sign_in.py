"""Signing in with what `docker login`, `podman login` and Debian's credential helpers keep."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.certificates import SigningKey
from tests.parts.distribution import PASSWORD, USER, Distribution, DistributionOptions
from tests.parts.faults import Answer, Html
from tests.parts.images import ImageSpec, Layout, write_layout
from tests.parts.pass_store import PassStore
from tests.parts.programs import need
from tests.parts.token_service import Access, TokenManners, TokenService
from tests.real.command import Command
from tests.real.conftest import Start
from tests.real.machine import Machine, signed_in

REGISTRIES = ("htpasswd_distribution", "token_distribution")
HELPERS = "golang-docker-credential-helpers"


@pytest.fixture(params=REGISTRIES)
def locked(request: pytest.FixtureRequest) -> Distribution:
    """A registry that lets in USER alone, by Basic and by tokens."""
    registry: Distribution = request.getfixturevalue(request.param)
    return registry


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return write_layout(tmp_path / "image", [ImageSpec()])


@pytest.fixture(scope="session")
def pass_store() -> Iterator[PassStore]:
    """Debian's `pass`, and the helper that docker runs for it."""
    need("docker-credential-pass", HELPERS)
    store = PassStore(program=need("pass"), gpg=need("gpg", "gnupg"), gpgconf=need("gpgconf"))
    with store:
        yield store


@pytest.fixture
def machine(command: Command, tmp_path: Path) -> Machine:
    """A user who has signed in nowhere."""
    return Machine(command, tmp_path)


def test_docker_login_is_enough(machine: Machine, layout: Layout, locked: Distribution) -> None:
    machine.login("docker", locked.host)
    config = json.loads((machine.home / ".docker/config.json").read_text())
    assert list(config["auths"]) == [locked.host]
    done = machine.push(layout, f"{locked.host}/docker/app:v1")
    assert signed_in(done, locked, "~/.docker/config.json")


def test_docker_login_with_a_config_elsewhere_is_enough(
    machine: Machine, layout: Layout, locked: Distribution, tmp_path: Path
) -> None:
    folder = str(tmp_path / "docker config")
    machine.login("docker", locked.host, DOCKER_CONFIG=folder)
    done = machine.push(layout, f"{locked.host}/elsewhere/app:v1", DOCKER_CONFIG=folder)
    assert signed_in(done, locked, f"{folder}/config.json")


def test_what_docker_login_wrote_can_come_in_a_variable(
    machine: Machine, layout: Layout, locked: Distribution, tmp_path: Path
) -> None:
    folder = tmp_path / "docker"
    machine.login("docker", locked.host, DOCKER_CONFIG=str(folder))
    inline = (folder / "config.json").read_text()
    done = machine.push(layout, f"{locked.host}/inline/app:v1", DOCKER_AUTH_CONFIG=inline)
    assert signed_in(done, locked, "DOCKER_AUTH_CONFIG")


def test_podman_login_is_enough(machine: Machine, layout: Layout, locked: Distribution) -> None:
    machine.login("podman", "--tls-verify=false", locked.host)
    file = machine.folder / "run" / "containers" / "auth.json"
    assert file.exists()
    done = machine.push(layout, f"{locked.host}/podman/app:v1")
    assert signed_in(done, locked, str(file))


def test_podman_login_to_a_repository_serves_what_is_below_it_and_no_more(
    machine: Machine, layout: Layout, htpasswd_distribution: Distribution
) -> None:
    host = htpasswd_distribution.host
    machine.login("podman", "--tls-verify=false", f"{host}/below")
    file = machine.folder / "run" / "containers" / "auth.json"
    assert list(json.loads(file.read_text())["auths"]) == [f"{host}/below"]
    done = machine.push(layout, f"{host}/below/app:v1")
    assert signed_in(done, htpasswd_distribution, str(file))
    other = machine.push(layout, f"{host}/beside/app:v1")
    assert other.code == 2
    assert "no credentials were found" in other.err


@pytest.mark.parametrize("by_variable", [False, True])
def test_podman_login_with_an_authfile_is_found_where_it_is_named(
    machine: Machine, layout: Layout, locked: Distribution, tmp_path: Path, by_variable: bool
) -> None:
    file = tmp_path / "auth.json"
    machine.login("podman", "--tls-verify=false", "--authfile", file, locked.host)
    to = f"{locked.host}/authfile/app:v{by_variable}"
    if by_variable:
        done = machine.push(layout, to, REGISTRY_AUTH_FILE=str(file))
    else:
        done = machine.push(layout, to, "--authfile", file)
    assert signed_in(done, locked, str(file))


def test_a_missing_authfile_ends_the_push_before_anything_is_sent(
    machine: Machine, layout: Layout, htpasswd_distribution: Distribution, tmp_path: Path
) -> None:
    before = htpasswd_distribution.log
    to = f"{htpasswd_distribution.host}/missing/app:v1"
    done = machine.push(layout, to, "--authfile", tmp_path / "missing.json")
    assert done.code == 1
    assert "missing.json" in done.err
    assert htpasswd_distribution.log == before


@pytest.mark.parametrize("kind", ["credsStore", "credHelpers"])
def test_what_docker_login_gave_to_a_real_helper_is_asked_of_it(
    machine: Machine, layout: Layout, locked: Distribution, pass_store: PassStore, kind: str
) -> None:
    value: object = "pass" if kind == "credsStore" else {locked.host: "pass"}
    config = machine.docker_config(**{kind: value})
    # the helper and pass are shell's business: docker finds them on the whole PATH
    subprocess.run(
        [need("docker"), "login", "-u", USER, "--password-stdin", locked.host],
        env={"PATH": os.environ["PATH"], "HOME": str(machine.home), **pass_store.variables},
        input=PASSWORD.encode(),
        capture_output=True,
        check=True,
    )
    assert json.loads(config.read_text())["auths"] == {locked.host: {}}
    done = machine.push(layout, f"{locked.host}/helped/app:v1", **pass_store.variables)
    assert signed_in(done, locked, "docker-credential-pass of ~/.docker/config.json")


def test_a_real_helper_that_has_nothing_gives_way_to_podmans_file(
    machine: Machine, layout: Layout, htpasswd_distribution: Distribution, pass_store: PassStore
) -> None:
    # a name that nobody gave to the store
    host = htpasswd_distribution.other_host
    machine.login("podman", "--tls-verify=false", host)
    machine.docker_config(credsStore="pass")
    done = machine.push(layout, f"{host}/missed/app:v1", **pass_store.variables)
    assert done.code == 0, done.err
    assert f"auth: basic with {machine.folder}/run/containers/auth.json for {host}" in done.err


def test_a_real_helper_that_fails_ends_the_push_with_its_reason(
    machine: Machine, layout: Layout, htpasswd_distribution: Distribution, tmp_path: Path
) -> None:
    program = need("docker-credential-secretservice", HELPERS)
    machine.docker_config(credHelpers={htpasswd_distribution.host: "secretservice"})
    bus = f"unix:path={tmp_path}/no bus"
    to = f"{htpasswd_distribution.host}/failed/app:v1"
    done = machine.push(layout, to, DBUS_SESSION_BUS_ADDRESS=bus)
    assert done.code == 2
    assert f"`{Path(program).name}`: it ended with exit code 1 (Could not connect" in done.err
    assert "--password-stdin" in done.err
    assert "--password-stdin" in done.err


def test_a_registry_that_asks_for_nothing_has_no_helper_run_and_no_file_minded(
    machine: Machine, layout: Layout, distribution: Distribution
) -> None:
    config = machine.docker_config(credHelpers={distribution.host: "not-installed"})
    config.chmod(0o600)
    done = machine.push(layout, f"{distribution.host}/open/app:v1")
    assert done.code == 0, done.err
    assert f"auth: {distribution.host} asks for no credentials" in done.err
    config.write_text("{")
    assert "Warning" not in machine.push(layout, f"{distribution.host}/open/app:v1").err


@pytest.mark.parametrize(
    ("content", "mode", "why"),
    [
        ("", 0o600, "it is empty"),
        ("not JSON", 0o600, "it is not JSON"),
        ("[]", 0o600, "it is not a JSON object"),
        ('{"auths": 7}', 0o600, "its `auths` is no JSON object"),
        ("{}", 0o660, "its mode 0660 lets others write to it"),
        ("x" * 5_000_000, 0o600, "it has more than 4194304 bytes"),
    ],
)
def test_a_broken_file_is_a_warning_and_the_search_goes_on(
    command: Command,
    machine: Machine,
    layout: Layout,
    htpasswd_distribution: Distribution,
    content: str,
    mode: int,
    why: str,
) -> None:
    host = htpasswd_distribution.host
    machine.login("podman", "--tls-verify=false", host)
    path = machine.docker_config()
    path.write_text(content)
    path.chmod(mode)
    arguments = (layout.path, "--to", f"{host}/warned/app:v1")
    done = command(*arguments, **machine.variables)
    assert done.code == 0, done.err
    assert done.err == f"Warning: `~/.docker/config.json` is not used for credentials: {why}\n"
    quiet = command(*arguments, "--quiet", **machine.variables)
    assert (quiet.code, quiet.err) == (0, "")


def test_an_identity_token_is_changed_for_a_token_of_the_registry(
    machine: Machine, layout: Layout, token_distribution: Distribution, signed_tokens: TokenService
) -> None:
    identity = signed_tokens.identity_token(USER)
    machine.docker_config(auths={token_distribution.host: {"identitytoken": identity}})
    done = machine.push(layout, f"{token_distribution.host}/identity/app:v1")
    assert signed_in(done, token_distribution, "~/.docker/config.json")
    assert identity not in done.err
    assert signed_tokens.requests[-1].method == "POST"


def test_a_registry_token_is_shown_to_the_registry_as_it_is(
    machine: Machine, layout: Layout, token_distribution: Distribution, signed_tokens: TokenService
) -> None:
    token = signed_tokens.token(USER, [Access("access/app", ("pull", "push"))])
    machine.docker_config(auths={token_distribution.host: {"registrytoken": token}})
    before = len(signed_tokens.requests)
    done = machine.push(layout, f"{token_distribution.host}/access/app:v1")
    assert signed_in(done, token_distribution, "~/.docker/config.json")
    assert token not in done.err
    assert len(signed_tokens.requests) == before


def test_a_real_helpers_identity_token_is_told_by_its_user_name(
    machine: Machine,
    layout: Layout,
    token_distribution: Distribution,
    signed_tokens: TokenService,
    pass_store: PassStore,
) -> None:
    identity = signed_tokens.identity_token(USER)
    kept = {"ServerURL": token_distribution.host, "Username": "<token>", "Secret": identity}
    subprocess.run(
        [need("docker-credential-pass", HELPERS), "store"],
        env={"PATH": os.environ["PATH"], "HOME": str(machine.home), **pass_store.variables},
        input=json.dumps(kept).encode(),
        capture_output=True,
        check=True,
    )
    machine.docker_config(credsStore="pass")
    to = f"{token_distribution.host}/helped-identity/app:v1"
    done = machine.push(layout, to, **pass_store.variables)
    assert signed_in(done, token_distribution, "docker-credential-pass of ~/.docker/config.json")
    assert identity not in done.err
    assert signed_tokens.requests[-1].method == "POST"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Html(200), "its answer is not JSON"),
        (Answer(200, {}), "its answer holds no token"),
        (Answer(200, {"token": "x" * 100_000}), "not signed in"),
        (Answer(302, "", {"Location": "http://127.0.0.1:1/"}), "a redirect, which is not followed"),
        (Answer(403, "no"), "it answered 403"),
    ],
    ids=["html", "no token", "100 kB", "redirect", "refusal"],
)
def test_a_token_service_that_answers_badly_ends_the_push_as_a_refused_sign_in(
    machine: Machine,
    layout: Layout,
    start_distribution: Start,
    signing_key: SigningKey,
    answer: Answer | Html,
    why: str,
) -> None:
    flags = ("--username", USER, "--password", PASSWORD)
    with TokenService({USER: PASSWORD}, key=signing_key) as tokens:
        tokens.fault(answer, times=None)
        with start_distribution(DistributionOptions(tokens=tokens)) as registry:
            done = machine.push(layout, f"{registry.host}/badly/app:v1", *flags)
    assert done.code == 2, done.err
    assert why in done.err
    assert PASSWORD not in done.err


def test_an_account_that_may_only_pull_is_told_apart_from_a_wrong_password(
    machine: Machine, layout: Layout, start_distribution: Start, signing_key: SigningKey
) -> None:
    manners = TokenManners(granted=frozenset({"pull"}))
    flags = ("--username", USER, "--password", PASSWORD)
    with (
        TokenService({USER: PASSWORD}, manners, key=signing_key) as tokens,
        start_distribution(DistributionOptions(tokens=tokens)) as registry,
    ):
        done = machine.push(layout, f"{registry.host}/pulls/app:v1", *flags)
    assert done.code == 2
    assert "hint: check that the account from flags or variables may push there" in done.err


def test_who_is_a_stranger_to_a_token_service_is_told_how_to_sign_in(
    machine: Machine, layout: Layout, token_distribution: Distribution
) -> None:
    done = machine.push(layout, f"{token_distribution.host}/stranger/app:v1")
    assert done.code == 2
    assert "no access token from" in done.err
    assert "and no credentials were found" in done.err
    assert "--password-stdin" in done.err
