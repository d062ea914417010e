"""`--dask`: who pushes in place of this process, and what cannot be asked of him."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from idpbuilder.errors import UsageError

if TYPE_CHECKING:
    from idpbuilder.cli.command import Run
    from idpbuilder.cli.given import Given

_HINT: Final = (
    "leave out `--username`, `--password`, `--password-stdin` and `--authfile`, unset "
    "IDPBUILDER_REGISTRY_USER and IDPBUILDER_REGISTRY_PASSWORD, and sign in on the workers"
)


def run_of_dask(given: Given) -> Run | None:
    """What pushes on the cluster that was named, None where none was. Raises UsageError, before
    anybody types a password.
    """
    address = given.value("dask", str, None)
    if address is None:
        return None
    secret = (
        given.value("username", str, None)
        or given.secret("password")
        or given.value("authfile", str, None)
        or given.has("password_stdin")
    )
    if secret:
        raise UsageError(
            "credentials cannot be given with `--dask`",
            "no secret is sent to the workers: each uses its own credential stores",
            _HINT,
        )
    for flag in ("shard", "trace"):
        if given.is_set(flag):
            raise UsageError(
                f"`--dask` and `--{flag}` contradict each other", hint="leave one of them out"
            )
    from idpbuilder.cluster.run import run_on

    return run_on(address)
