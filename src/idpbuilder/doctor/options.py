"""What a user asks of the doctor, checked and with every default in place."""

from __future__ import annotations

from dataclasses import dataclass, field

from idpbuilder.registry.credentials import Confide, confide_in_nobody

DEFAULT_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class DoctorOptions:
    """`registry` is `host[:port]`, "" where none is asked; `repository` one in it, or "".

    `scheme` is "" where the user fixed none. `timeout` in seconds for all that the registry is
    asked, None without limit. Only with `write` something is written into the repository. `confide`
    is told every secret before it can be shown.
    """

    registry: str = ""
    repository: str = ""
    scheme: str = ""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    authfile: str | None = None
    cert_dir: str | None = None
    insecure: bool = False
    timeout: float | None = DEFAULT_TIMEOUT
    write: bool = False
    confide: Confide = field(default=confide_in_nobody, repr=False, compare=False)
