"""What the system lets this process have."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

_ENOUGH: Final = 65_536


def raise_descriptor_limit() -> None:
    """Take as many file descriptors as the system allows: some begin with 256.

    A push of many images holds one for each layer that is on its way.
    """
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
