"""What all pushes of a run share."""

from __future__ import annotations

from dataclasses import dataclass

from idpbuilder.memory import AnyMemory
from idpbuilder.push.late import LatePacker
from idpbuilder.push.layers import Recent
from idpbuilder.wire import Engine


@dataclass(frozen=True, slots=True)
class Tools:
    """The engine, what is remembered between runs, and who packs."""

    engine: Engine
    memory: AnyMemory
    journal: AnyMemory | None
    packer: LatePacker
    recent: Recent
