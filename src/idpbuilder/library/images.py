"""`push_images`: the command `push` as a function, with the meaning and the checks of its flags."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from idpbuilder.errors import UsageError
from idpbuilder.image import InvalidValue, Platform
from idpbuilder.library.running import Wanted, run_apart
from idpbuilder.packing.method import Method
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
from idpbuilder.push.events import Event, Progress
from idpbuilder.push.options import (
    DEFAULT_RETRIES,
    DEFAULT_TIMEOUT,
    JOBS_LIMIT,
    RETRIES_LIMIT,
    Order,
    PushOptions,
)
from idpbuilder.push.result import PushFailure, PushResult
from idpbuilder.redact import Secrets

T = TypeVar("T")

Source = str | os.PathLike[str]
"""An image as the command line takes it; what is no text is a path, whatever it looks like."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image, and the references to push it to; without them it goes where its name says.

    Of an image for several platforms `platform`, as `linux/amd64`, is the only one pushed.
    """

    source: Source
    to: str | Sequence[str] = ()
    platform: str | None = None


def push_images(
    images: Source | Image | Iterable[Source | Image],
    *,
    registry: str | None = None,
    platform: str | None = None,
    username: str | None = None,
    password: str | None = None,
    authfile: Source | None = None,
    insecure: bool = False,
    cert_dir: Source | None = None,
    all_tags: bool = False,
    compression: Literal["gzip", "zstd", "none"] | None = None,
    compression_level: int | None = None,
    cache: bool = True,
    resume: bool = True,
    keep_going: bool = False,
    timeout: float | None = DEFAULT_TIMEOUT,
    retries: int = DEFAULT_RETRIES,
    jobs: int | None = None,
    limit_rate: int | None = None,
    dry_run: bool = False,
    verify: bool = False,
    verbose: bool = False,
    on_event: Callable[[Event, int], None] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> tuple[PushResult | PushFailure, ...]:
    """Push images to their destinations, many at once, and return what became of each, in order.

    The arguments are the flags of `idpbuilder push`. `timeout` is in seconds for each destination,
    `limit_rate` in bytes per second over all transfers; 0 and None are no limit. `jobs` are the
    concurrent transfers per registry, None for as many as pay. Credentials that are not given are
    looked for where docker and podman keep them; no variable stands in for an argument.

    `on_event` is called with whatever happens and the number of the push in which it did, from 1,
    or 0 for none; with `Note`s only if `verbose`. `on_progress` is told ten times a second where
    all pushes stand. Both are called on the caller's thread. What they raise ends the push and
    comes out of here, and so does a KeyboardInterrupt, once everything has been closed.

    The first failure ends the others, which then have no outcome, unless they are to `keep_going`.
    Raises UsageError for arguments that cannot be used; whatever else goes wrong is a PushFailure.
    """
    secrets = Secrets()
    options = PushOptions(
        listed=tuple(_orders(images, _text(platform, "platform"))),
        prefix=_value(registry, "registry", prefix, REGISTRY_HINT),
        username=_value(username, "username", user),
        password=_password(password, username, secrets),
        authfile=_value(authfile, "authfile", str),
        cert_dir=_value(cert_dir, "cert_dir", folder),
        insecure=insecure,
        timeout=_seconds(timeout),
        retries=_whole("retries", retries, 0, RETRIES_LIMIT),
        jobs=None if jobs is None else _whole("jobs", jobs, 1, JOBS_LIMIT),
        limit_rate=_whole("limit_rate", limit_rate or 0, 0, 2**63 - 1) or None,
        method=_method(compression, compression_level),
        all_layers=compression is not None,
        memory=cache,
        resume=resume,
        all_tags=all_tags,
        dry_run=dry_run,
        verify=verify,
        keep_going=keep_going,
    )
    if not options.listed:
        return ()

    def hear(told: Event | Progress, number: int) -> None:
        if isinstance(told, Progress):
            if on_progress is not None:
                on_progress(told)
        elif on_event is not None:
            on_event(told, number)

    return run_apart(options, hear, secrets, Wanted(verbose, on_progress is not None))


def raise_first_failure(outcomes: Iterable[PushResult | PushFailure]) -> tuple[PushResult, ...]:
    """`outcomes`, where all of them are results. Raises the error of the first that is none."""
    results = []
    for outcome in outcomes:
        if isinstance(outcome, PushFailure):
            raise outcome.error
        results.append(outcome)
    return tuple(results)


def _orders(
    images: Source | Image | Iterable[Source | Image], platform: str | None
) -> Iterator[Order]:
    several = [images] if isinstance(images, str | os.PathLike | Image) else images
    for number, one in enumerate(several):
        image = one if isinstance(one, Image) else Image(one)
        where = f"images[{number}]"
        to = [image.to] if isinstance(image.to, str) else image.to
        wanted = platform if image.platform is None else image.platform
        yield Order(
            _source(image.source, where),
            tuple(parsed(text, f"a destination of {where}", destination, TO_HINT) for text in to),
            _value(wanted, "platform", Platform.parse, PLATFORM_HINT),
            where,
        )


def _source(source: Source, where: str) -> str:
    text = os.fspath(source)
    if not text:
        raise UsageError(f"{where} is empty", hint="name a path or an image")
    if text == "-" and isinstance(source, str):
        raise UsageError(
            f"{where} cannot be standard input", "that is the program's own", "name a file"
        )
    is_path = not isinstance(source, str) and not os.path.isabs(text)
    return os.path.join(os.curdir, text) if is_path else text


def _text(value: Source | None, name: str) -> str | None:
    if value is None:
        return None
    text = os.fspath(value)
    if not text:
        raise UsageError(f"`{name}` is empty", hint="give it a value, or leave it out")
    return text


def _value(value: Source | None, name: str, parse: Callable[[str], T], hint: str = "") -> T | None:
    return None if value is None else parsed(os.fspath(value), f"`{name}`", parse, hint)


def _password(password: str | None, username: str | None, secrets: Secrets) -> str | None:
    text = _text(password, "password")
    if text:
        for secret in (text, f"{username or ''}:{text}"):
            secrets.add(secret)
    return text


def _seconds(timeout: float | None) -> float | None:
    if timeout is None or timeout == 0:
        return None
    if not 0 < timeout < math.inf:
        raise UsageError(
            f"`{timeout}` cannot be used for `timeout`",
            "it is out of range",
            "give a number of seconds; None is no limit",
        )
    return float(timeout)


def _whole(name: str, value: int, lowest: int, highest: int) -> int:
    if not lowest <= value <= highest or value != int(value):
        raise UsageError(
            f"`{value}` cannot be used for `{name}`",
            hint=f"give a whole number from {lowest} to {highest}",
        )
    return int(value)


def _method(kind: str | None, level: int | None) -> Method:
    try:
        return Method.choose(kind or "gzip", level)
    except InvalidValue as error:
        raise UsageError(
            "`compression` and `compression_level` cannot be used", str(error)
        ) from error
