"""Where engines are looked for, and in which order."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest

from idpbuilder.errors import ImageUnreadable
from idpbuilder.source.engines.places import Kind, Place, distinct, places
from idpbuilder.wire import Trust


def first(**environ: str) -> Place:
    return places(environ, uid=1000)[0]


def write_context(docker: Path, name: str, endpoint: dict[str, object]) -> Path:
    """The folder that its TLS files would be in."""
    key = sha256(name.encode()).hexdigest()
    folder = docker / "contexts" / "meta" / key
    folder.mkdir(parents=True)
    (folder / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": {"docker": endpoint}}))
    return docker / "contexts" / "tls" / key / "docker"


def write_current(docker: Path, name: object) -> None:
    docker.mkdir(parents=True, exist_ok=True)
    (docker / "config.json").write_text(json.dumps({"currentContext": name}))


def test_the_order_is_variables_then_docker_then_podman_then_the_command() -> None:
    environ = {
        "HOME": "/home/ann",
        "XDG_RUNTIME_DIR": "/run/user/7",
        "DOCKER_HOST": "unix:///one.sock",
        "CONTAINER_HOST": "unix:///two.sock",
    }
    found = places(environ)
    assert [place.socket for place in found] == [
        "/one.sock",
        "/two.sock",
        "/var/run/docker.sock",
        "/run/user/7/docker.sock",
        "/home/ann/.docker/run/docker.sock",
        "/home/ann/.docker/desktop/docker.sock",
        "/run/user/7/podman/podman.sock",
        "/run/podman/podman.sock",
        "",
    ]
    assert [place.explicit for place in found] == [True, True] + [False] * 7
    assert found[-1].command
    assert [place.kind for place in found if place.explicit] == [Kind.DOCKER, Kind.PODMAN]


def test_without_a_home_and_a_runtime_folder_the_usual_places_remain() -> None:
    assert [place.socket for place in places({}, uid=1000)] == [
        "/var/run/docker.sock",
        "/run/user/1000/docker.sock",
        "/run/user/1000/podman/podman.sock",
        "/run/podman/podman.sock",
        "",
    ]


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("tcp://build.example.com", "http://build.example.com:2375"),
        ("tcp://build.example.com:9000", "http://build.example.com:9000"),
        ("build.example.com:9000", "http://build.example.com:9000"),
        ("http://build.example.com/engine/", "http://build.example.com:2375/engine"),
        ("https://build.example.com", "https://build.example.com:2376"),
        ("tcp://[::1]:9000", "http://[::1]:9000"),
    ],
)
def test_docker_host_may_be_an_address(host: str, url: str) -> None:
    place = first(DOCKER_HOST=host)
    assert (place.url, place.socket, place.explicit) == (url, "", True)


def test_a_password_in_an_address_is_never_told() -> None:
    place = first(DOCKER_HOST="tcp://ann:secret@build.example.com:1")
    assert "secret" not in place.label + place.url
    assert "secret" not in first(DOCKER_HOST="ssh://ann:secret@host").label


@pytest.mark.parametrize("host", ["ssh://host", "npipe:////./pipe/docker", "tcp://", "tcp://a:b:c"])
def test_an_address_that_leads_nowhere_says_so(host: str) -> None:
    place = first(DOCKER_HOST=host)
    assert place.explicit
    assert place.trouble
    assert place.hint
    assert not place.socket + place.url


def test_the_variables_for_tls_make_an_address_speak_it(tmp_path: Path) -> None:
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (tmp_path / name).touch()
    place = first(
        DOCKER_HOST="tcp://build.example.com",
        DOCKER_TLS_VERIFY="1",
        DOCKER_CERT_PATH=str(tmp_path),
    )
    client = (str(tmp_path / "cert.pem"), str(tmp_path / "key.pem"))
    assert place.url == "https://build.example.com:2376"
    assert place.trust == Trust(only=str(tmp_path / "ca.pem"), client=client)


def test_tls_without_verification_believes_anyone(tmp_path: Path) -> None:
    place = first(DOCKER_HOST="tcp://host", DOCKER_TLS="1", HOME=str(tmp_path))
    assert place.trust == Trust(verify=False)


def test_the_current_context_names_an_engine(tmp_path: Path) -> None:
    docker = tmp_path / ".docker"
    write_context(docker, "remote", {"Host": "unix:///remote.sock"})
    write_current(docker, "remote")
    place = first(HOME=str(tmp_path))
    assert (place.socket, place.explicit) == ("/remote.sock", True)
    assert "`remote`" not in place.socket


def test_a_contexts_tls_files_are_used(tmp_path: Path) -> None:
    tls = write_context(tmp_path, "remote", {"Host": "tcp://host:2376"})
    tls.mkdir(parents=True)
    (tls / "ca.pem").touch()
    place = first(DOCKER_CONFIG=str(tmp_path), DOCKER_CONTEXT="remote")
    assert place.url == "https://host:2376"
    assert place.trust == Trust(only=str(tls / "ca.pem"))


def test_a_host_outranks_a_context_and_a_variable_the_current_one(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_context(tmp_path, name, {"Host": f"unix:///{name}.sock"})
    write_current(tmp_path, "one")
    config = str(tmp_path)
    assert first(DOCKER_CONFIG=config, DOCKER_CONTEXT="two").socket == "/two.sock"
    both = places({"DOCKER_CONFIG": config, "DOCKER_HOST": "unix:///three.sock"}, uid=1000)
    assert [place.socket for place in both if place.explicit] == ["/three.sock"]


@pytest.mark.parametrize("name", ["default", "", None, 3])
def test_the_default_context_names_nothing(name: object, tmp_path: Path) -> None:
    write_current(tmp_path, name)
    assert not any(place.explicit for place in places({"DOCKER_CONFIG": str(tmp_path)}))


def test_a_context_that_is_not_there_leads_nowhere(tmp_path: Path) -> None:
    place = first(DOCKER_CONFIG=str(tmp_path), DOCKER_CONTEXT="gone")
    assert place.explicit
    assert "no such context" in place.trouble


@pytest.mark.parametrize("endpoint", [{}, {"Host": 3}])
def test_a_context_without_an_address_leads_nowhere(
    endpoint: dict[str, object], tmp_path: Path
) -> None:
    write_context(tmp_path, "odd", endpoint)
    assert "no docker engine" in first(DOCKER_CONFIG=str(tmp_path), DOCKER_CONTEXT="odd").trouble


def test_a_configuration_that_is_no_json_ends_the_search(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ImageUnreadable, match="docker context"):
        places({"DOCKER_CONFIG": str(tmp_path)})


def test_one_engine_under_two_names_is_one_place(tmp_path: Path) -> None:
    socket, alias = tmp_path / "engine.sock", tmp_path / "alias.sock"
    alias.symlink_to(socket)
    found = places({"DOCKER_HOST": f"unix://{socket}", "CONTAINER_HOST": f"unix://{alias}"})
    explicit = [place for place in distinct(found) if place.explicit]
    assert [place.socket for place in explicit] == [str(socket)]
