"""A whole examination: first this machine, then the registry that was named."""

from __future__ import annotations

import pytest

from idpbuilder.doctor.finding import Part
from idpbuilder.doctor.options import DoctorOptions
from idpbuilder.doctor.run import examine
from idpbuilder.errors import Interrupted
from idpbuilder.push.stop import Stop
from tests.parts.memory_registry import MemoryRegistry


def test_this_machine_comes_first_and_then_the_registry(
    registry: MemoryRegistry, variables: dict[str, str]
) -> None:
    found = list(examine(DoctorOptions(registry.host), variables, Stop()))
    parts = [part for part, _ in found]
    assert parts == sorted(parts, key=[Part.HERE, Part.REGISTRY].index)
    assert {"program", "cache", "TMPDIR", "proxy"} <= {
        finding.what for part, finding in found if part is Part.HERE
    }
    assert [finding.what for part, finding in found if part is Part.REGISTRY][-1] == "round trip"


def test_without_a_registry_nobody_is_asked(variables: dict[str, str]) -> None:
    found = examine(DoctorOptions(), variables, Stop())
    assert {part for part, _ in found} == {Part.HERE}


def test_a_proxys_password_is_confided_before_anything_is_told(variables: dict[str, str]) -> None:
    variables["HTTPS_PROXY"] = "http://me:secret-word@proxy.invalid:3128"
    told: list[str] = []
    found = examine(DoctorOptions(confide=told.append), variables, Stop())
    next(found)
    assert "secret-word" in told
    assert "secret-word" not in repr(list(found))


def test_who_asks_to_stop_is_heard(registry: MemoryRegistry, variables: dict[str, str]) -> None:
    stop = Stop()
    found = examine(DoctorOptions(registry.host), variables, stop)
    next(found)
    stop.request(15)
    with pytest.raises(Interrupted):
        list(found)
    assert registry.requests == []
