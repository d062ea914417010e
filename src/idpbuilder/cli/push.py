"""The command `push`: its flags, and what they ask for."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from idpbuilder.cli.command import Flag, PushCommand, Session
from idpbuilder.cli.exits import OK, exit_of
from idpbuilder.cli.flags import COMPRESSION, OUTPUT, PROGRESS, push_flags
from idpbuilder.cli.streams import Stream
from idpbuilder.errors import Interrupted, UsageError

if TYPE_CHECKING:
    from idpbuilder.cli.command import Run
    from idpbuilder.cli.given import Given
    from idpbuilder.cli.trace import TraceFile
    from idpbuilder.cli.view import View
    from idpbuilder.packing.method import Method
    from idpbuilder.push.options import Order, PushOptions, Shard
    from idpbuilder.push.result import PushFailure, PushResult


def _push(**values: object) -> int:
    """Push OCI container images to any OCI registry.

    IMAGE is a name or an ID that Docker or podman knows; the path of an OCI layout, an OCI archive
    or a `docker save` archive, plain or compressed with gzip or zstd; or `-` for such an archive on
    standard input. Where it comes from can be said with docker-daemon:, podman:, oci:,
    oci-archive: or docker-archive:. Without IMAGE the one that was built or tagged last is pushed.
    """
    from idpbuilder.cli.given import Given

    session = click.get_current_context().ensure_object(Session)
    flags = {flag.name: flag for flag in push.params if isinstance(flag, Flag) and flag.name}
    given = Given(flags, values, session.environ)
    view = _view(given)
    trace = given.value("trace", _trace_path, None)
    if given.is_set("dask"):
        from idpbuilder.cli.dask import run_of_dask

        session.run = session.run or run_of_dask(given)
    options = _options(given, values, session)
    return _carry_out(options, view, given.value("digestfile", str, None), trace, session)


def _carry_out(
    options: PushOptions, view: View, digestfile: str | None, trace: str | None, session: Session
) -> int:
    from idpbuilder.cli.digestfile import DigestFile
    from idpbuilder.cli.limits import raise_descriptor_limit
    from idpbuilder.cli.report import digest_reference
    from idpbuilder.cli.signals import signals_reach
    from idpbuilder.cli.view import reporter_for
    from idpbuilder.push.result import PushResult
    from idpbuilder.push.stop import Stop

    file = DigestFile(digestfile) if digestfile else None
    if file is not None:
        file.check()
    if digestfile and trace and os.path.realpath(digestfile) == os.path.realpath(trace):
        raise UsageError(
            "`--digestfile` and `--trace` name the same file", hint="choose another path for one"
        )
    traced = _traced(trace, session)
    if traced is not None:
        options = replace(options, trace=traced.trace)
    run = session.run or _real_run()
    raise_descriptor_limit()
    reporter, close = reporter_for(
        view, Stream(sys.stdout), Stream(sys.stderr), session.environ, session.secrets
    )
    stop = Stop()
    try:
        with signals_reach(stop):
            try:
                outcomes = run(options, reporter, stop)
            finally:
                left = _end(traced, session)
    finally:
        close()
    reached = [digest_reference(outcome) for outcome in outcomes if isinstance(outcome, PushResult)]
    code = _first_failure(outcomes)
    if file is not None and reached and not options.dry_run:
        try:
            file.write(reached)
        except Exception as error:
            told = session.tell(error, on_stdout=False)
            return code or told
    return code or left


def _trace_path(text: str) -> str:
    from idpbuilder.cli.trace import trace_path

    return trace_path(text)


def _traced(path: str | None, session: Session) -> TraceFile | None:
    if path is None:
        return None
    from idpbuilder.cli.trace import TraceFile

    return TraceFile(path, session.secrets)


def _end(trace: TraceFile | None, session: Session) -> int:
    """Write the end of a trace; the exit code, where it could not be written."""
    try:
        if trace is not None:
            trace.close()
    except Exception as error:
        return session.tell(error, on_stdout=False)
    return OK


def _real_run() -> Run:
    from idpbuilder.push.run import run

    return run


def _first_failure(outcomes: Sequence[PushResult | PushFailure]) -> int:
    from idpbuilder.push.result import PushFailure

    errors = [outcome.error for outcome in outcomes if isinstance(outcome, PushFailure)]
    # whoever stopped the run is told so, whatever had failed before
    errors.sort(key=lambda error: not isinstance(error, Interrupted))
    return exit_of(errors[0]).code if errors else OK


def _view(given: Given) -> View:
    from idpbuilder.cli.values import one_of
    from idpbuilder.cli.view import View

    output = given.value("output", lambda text: one_of(text, OUTPUT), "text")
    progress = given.value("progress", lambda text: one_of(text, PROGRESS), "auto")
    quiet, verbose = given.has("quiet"), given.has("verbose")
    if quiet and verbose:
        raise UsageError(
            "`--quiet` and `--verbose` contradict each other", hint="leave one of them out"
        )
    if not quiet and not verbose:
        quiet, verbose = given.variable_switch("quiet"), given.variable_switch("verbose")
        if quiet and verbose:
            raise UsageError(
                "IDPBUILDER_PUSH_QUIET and IDPBUILDER_PUSH_VERBOSE contradict each other",
                hint="unset one of them, or use `--quiet` or `--verbose`",
            )
    return View(quiet, verbose, progress, output)


def _options(given: Given, values: dict[str, Any], session: Session) -> PushOptions:
    from idpbuilder.cli.values import duration, rate, whole_number
    from idpbuilder.image import Platform
    from idpbuilder.push.asked import (
        PLATFORM_HINT,
        REGISTRY_HINT,
        TO_HINT,
        destination,
        folder,
        parsed,
        prefix,
        user,
    )
    from idpbuilder.push.options import (
        DEFAULT_RETRIES,
        DEFAULT_TIMEOUT,
        JOBS_LIMIT,
        RETRIES_LIMIT,
        PushOptions,
    )

    images: tuple[str, ...] = values["images"]
    if "" in images:
        raise UsageError("IMAGE is empty", hint="name a path, or leave it out")
    listed = _listed(given, images, values["to"])
    if given.has("all_tags") and not images and not listed:
        raise UsageError(
            "`--all-tags` needs an IMAGE",
            hint="name the repository whose tags are pushed; without IMAGE one image is chosen",
        )
    arguments: dict[str, Any] = {
        "images": images,
        "listed": listed,
        "to": tuple(parsed(text, "`--to`", destination, TO_HINT) for text in values["to"]),
        "prefix": given.value("registry", prefix, None, REGISTRY_HINT),
        "platform": given.value("platform", Platform.parse, None, PLATFORM_HINT),
        "username": given.value("username", user, None),
        "authfile": given.value("authfile", str, None),
        "cert_dir": given.value("cert_dir", folder, None),
        "insecure": given.switch("insecure"),
        "timeout": given.value("timeout", duration, DEFAULT_TIMEOUT),
        "retries": given.value(
            "retry_attempts", lambda text: whole_number(text, 0, RETRIES_LIMIT), DEFAULT_RETRIES
        ),
        "jobs": given.value("jobs", lambda text: whole_number(text, 1, JOBS_LIMIT), None),
        "limit_rate": given.value("limit_rate", rate, None),
        "method": _method(given),
        "all_layers": given.is_set("compression"),
        "memory": not given.has("no_cache"),
        "resume": not given.has("no_resume"),
        "all_tags": given.has("all_tags"),
        "keep_going": given.has("keep_going"),
        "shard": _shard(given, session, images=bool(images or listed)),
        "dry_run": given.has("dry_run"),
        "verify": given.has("verify"),
        "confide": session.secrets.add,
    }
    from idpbuilder.cli.password import password_of

    # last, so that nobody types a password for a command that cannot run
    arguments["password"] = password_of(given, session)
    return PushOptions(**arguments)


def _listed(given: Given, images: Sequence[str], to: Sequence[str]) -> tuple[Order, ...]:
    """The images of the list, none without one. Raises UsageError, before anything is read where
    standard input is wanted twice.
    """
    path = given.value("from_file", str, None)
    if path is not None and to:
        raise UsageError(
            "`--to` and `--from-file` contradict each other",
            hint="write the destinations into the list, behind their images",
        )
    uses = [name for name, used in _uses_of_stdin(given, images, path) if used]
    orders: tuple[Order, ...] = ()
    if path is not None and len(uses) < 2:
        from idpbuilder.cli.listed import read_list
        from idpbuilder.cli.password import stdin_of
        from idpbuilder.image import Platform
        from idpbuilder.push.asked import PLATFORM_HINT

        platform = given.value("platform", Platform.parse, None, PLATFORM_HINT)
        orders = read_list(path, stdin_of("the list"), platform)
        uses += ["the image"] * [order.image for order in orders].count("-")
    if len(uses) > 1:
        raise UsageError(
            f"standard input cannot be both {uses[0]} and {uses[1]}",
            hint="use IDPBUILDER_REGISTRY_PASSWORD for a password, and files for the others",
        )
    return orders


def _uses_of_stdin(
    given: Given, images: Sequence[str], path: str | None
) -> Iterator[tuple[str, bool]]:
    yield from (("the image", image == "-") for image in images)
    yield "the list", path == "-"
    yield "the password", given.has("password_stdin")


def _shard(given: Given, session: Session, *, images: bool) -> Shard | None:
    if not given.is_set("shard"):
        return None
    from idpbuilder.cli.shards import shard

    if not images:
        raise UsageError(
            "`--shard` needs images to share out", hint="name them, or a list with `--from-file`"
        )
    return given.value("shard", lambda text: shard(text, session.environ), None)


def _method(given: Given) -> Method:
    from idpbuilder.cli.values import one_of, whole_number
    from idpbuilder.image import InvalidValue
    from idpbuilder.packing.method import Method

    kind = given.value("compression", lambda text: one_of(text, COMPRESSION), "gzip")
    level = given.value("compression_level", lambda text: whole_number(text, 1, 19), None)
    try:
        return Method.choose(kind, level)
    except InvalidValue as error:
        raise UsageError(
            f"`{level}` cannot be used for `--compression-level`",
            str(error),
            "for smaller blobs use `--compression zstd`",
        ) from error


push = PushCommand(
    "push",
    params=push_flags(),
    callback=_push,
    help=_push.__doc__,
    options_metavar="[FLAGS]",
    add_help_option=False,
)
