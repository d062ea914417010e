"""Where a registry may send us, now that it is known at which address it answers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from idpbuilder.errors import Incompatible
from idpbuilder.registry.upload_state import State
from idpbuilder.wire import FailureKind, Response, TransportFailure
from tests.push.scripted import Answer, in_turn, response
from tests.push.test_session import World

ASTRAY = TransportFailure(FailureKind.ASTRAY, "the registry leads to 127.0.0.1, an address of …")


def opened(location: str, peer: str) -> Response:
    return replace(response(202, Location=location), peer=peer)


def test_who_sent_us_goes_with_a_request_to_another_host_and_with_no_other() -> None:
    world = World(in_turn(opened("https://cdn.example.com/u", "192.0.2.7"), response(201)))
    assert world.upload().state is State.DONE
    assert [request.led_by for request in world.engine.requests] == ["", "192.0.2.7"]
    world = World(in_turn(opened("https://registry.example.com:8443/u", "10.1.1.1"), response(201)))
    assert world.upload().state is State.DONE
    assert [request.led_by for request in world.engine.requests] == ["", ""]


def test_of_a_registry_behind_a_proxy_only_the_name_is_known() -> None:
    world = World(in_turn(opened("https://cdn.example.com/u", ""), response(201)))
    assert world.upload().state is State.DONE
    assert world.engine.requests[1].led_by == "registry.example.com"


@pytest.mark.parametrize("location", ["http://10.2.2.2/u", "http://cdn.example.com/u"])
def test_a_registry_that_is_found_in_this_network_may_lead_to_its_neighbour(location: str) -> None:
    answers: list[Answer] = [opened(location, "10.1.1.1"), response(201)]
    world = World(in_turn(*answers), scheme="http")
    assert world.upload().state is State.DONE


def test_a_registry_that_is_found_outside_may_not() -> None:
    world = World(in_turn(opened("http://10.2.2.2/u", "8.8.8.8")), scheme="http")
    with pytest.raises(Incompatible, match=r"leads to 10.2.2.2, an address inside this network"):
        world.upload()


def test_a_name_that_turns_out_to_lead_inside_ends_the_push() -> None:
    world = World(in_turn(opened("https://cdn.example.com/u", "8.8.8.8"), ASTRAY))
    with pytest.raises(Incompatible, match=r"the registry leads to 127.0.0.1"):
        world.upload()
    assert len(world.engine.requests) == 2
