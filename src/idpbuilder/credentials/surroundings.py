"""What a search for credentials needs of whoever asks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from idpbuilder.registry.credentials import Confide, confide_in_nobody

_PATIENCE = 60.0


def _nothing(*_anything: object) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Surroundings:
    """`warn` is told what a user should know though the push goes on, `note` what explains how it
    went, `confide` every secret before it can be shown. `check` is called while a helper runs, and
    may raise to stop it; a helper is given `patience` seconds: it may have to ask for a passphrase.
    `system` stands for `/etc`.
    """

    environ: Mapping[str, str]
    warn: Callable[[str], None] = _nothing
    confide: Confide = confide_in_nobody
    check: Callable[[], None] = _nothing
    patience: float = _PATIENCE
    system: str = "/etc"
    note: Callable[[str], None] = _nothing
