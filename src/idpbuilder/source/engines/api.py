"""The Docker Engine API, as dockerd and podman's service speak it, over the engine of `wire`."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable, Sequence
from urllib.parse import quote, urlencode

from idpbuilder.image import Digest, Platform
from idpbuilder.source.engines.engine import (
    Check,
    Details,
    EngineTrouble,
    Listed,
    details,
    listed,
    sentence,
)
from idpbuilder.source.engines.places import Place
from idpbuilder.wire import (
    Completion,
    Engine,
    FailureKind,
    Request,
    Response,
    Sink,
    TransportFailure,
)

ApiVersion = tuple[int, int]

_OLDEST: ApiVersion = (1, 24)
_NEWEST: ApiVersion = (1, 53)
"""The newest version whose answers we know; an engine that is newer still speaks it."""
_PLATFORM_SINCE: ApiVersion = (1, 48)
_GREETING_SECONDS = 10.0
_TURN_SECONDS = 0.2
_ANSWER_LIMIT = 64 * 1024 * 1024
_PERMISSION_HINT = (
    "add your user to the group that owns the socket (`docker` for Docker), or run this with sudo"
)


class EngineApi:
    """One engine, reached at a place that has a socket or a URL; `connect` makes it ready."""

    def __init__(
        self,
        place: Place,
        engine: Engine,
        check: Check,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._place = place
        self._engine = engine
        self._check = check
        self._clock = clock
        self._version = _OLDEST

    def connect(self) -> EngineApi:
        """Greet the engine and settle the version of the API. Raises EngineTrouble."""
        if self._place.socket:
            _check_socket(self._place.socket)
        answer = self._one(self._request("/_ping"), _GREETING_SECONDS)
        if answer.status != 200:
            raise EngineTrouble(f"it answers {_told(answer)}")
        version = _parse_version(answer.headers.get("api-version")) or self._asked_version()
        if version < _OLDEST:
            raise EngineTrouble(
                f"it speaks version {_spelt(version)} of the Docker Engine API, "
                f"and {_spelt(_OLDEST)} is the oldest that can be used",
                "use a newer engine, or push an archive of `docker save`",
            )
        self._version = min(version, _NEWEST)
        return self

    @property
    def chooses_platforms(self) -> bool:
        """Whether one of its images may serve several platforms."""
        return self._version >= _PLATFORM_SINCE

    @property
    def dialect(self) -> str:
        """The version of the API: Docker's exports have other forms since some of them."""
        return f"API {_spelt(self._version)}"

    def images(self) -> list[Listed]:
        """The images that it has, dangling ones too. Raises EngineTrouble."""
        value = _decoded(self._good(self._one(self._versioned("/images/json"))))
        if not isinstance(value, list):
            raise EngineTrouble("its list of images is no list")
        return [one for one in map(listed, value) if one is not None]

    def inspect(self, name: str) -> Details | None:
        """The image that the engine takes `name` for; None where there is none.

        Raises EngineTrouble.
        """
        answer = self._one(self._versioned(f"/images/{quote(name, safe='/:@')}/json"))
        # what podman cannot take for a name is no server error of anyone's, but a 500 all the same
        return None if answer.status in (400, 404, 500) else self._details(answer)

    def inspect_all(self, ids: Sequence[Digest]) -> list[Details]:
        """The images with these IDs, in this order; those that are gone meanwhile are left out.

        Raises EngineTrouble.
        """
        answers = self._all([self._versioned(f"/images/{one}/json") for one in ids])
        return [self._details(answer) for answer in answers if answer.status != 404]

    def export(self, ids: Sequence[Digest], platform: Platform | None, sink: Sink) -> None:
        """Write the images, as `docker save` does, to `sink`.

        Raises EngineTrouble, and the OSError that `sink` raised.
        """
        query = [("names", str(one)) for one in ids]
        if platform is not None and self.chooses_platforms:
            query.append(("platform", json.dumps(_as_json(platform))))
        request = self._versioned(f"/images/get?{urlencode(query)}", sink)
        (done,) = self._move([request])
        failure = done.failure
        if failure is not None:
            if failure.kind is FailureKind.SINK and isinstance(failure.cause, OSError):
                raise failure.cause
            raise EngineTrouble(f"the engine ended the export early: {failure.message}")
        self._good(_response(done))

    # -- requests and their answers

    def _request(self, path: str, sink: Sink | None = None) -> Request:
        # over a socket the host is but a label
        base = self._place.url or "http://localhost"
        return Request(
            "GET",
            base + path,
            trust=self._place.trust,
            answer_limit=_ANSWER_LIMIT,
            unix_socket=self._place.socket or None,
            sink=sink,
            patient=True,
        )

    def _versioned(self, path: str, sink: Sink | None = None) -> Request:
        return self._request(f"/v{_spelt(self._version)}{path}", sink)

    def _asked_version(self) -> ApiVersion:
        value = _decoded(self._good(self._one(self._request("/version"), _GREETING_SECONDS)))
        version = _parse_version(value.get("ApiVersion") if isinstance(value, dict) else None)
        if version is None:
            raise EngineTrouble("it does not say which version of the Docker Engine API it speaks")
        return version

    def _one(self, request: Request, seconds: float | None = None) -> Response:
        return self._all([request], seconds)[0]

    def _all(self, requests: Sequence[Request], seconds: float | None = None) -> list[Response]:
        return [self._answer(done) for done in self._move(requests, seconds)]

    def _move(self, requests: Sequence[Request], seconds: float | None = None) -> list[Completion]:
        """How `requests` ended, in their order; `seconds` is the limit for all of them."""
        end = None if seconds is None else self._clock() + seconds
        waiting = {self._engine.submit(request): at for at, request in enumerate(requests)}
        ended: dict[int, Completion] = {}
        try:
            while waiting:
                self._check()
                if end is not None and self._clock() >= end:
                    raise EngineTrouble(f"it did not answer within {seconds:g} s")
                for done in self._engine.poll(_TURN_SECONDS):
                    at = waiting.pop(done.ticket, None)
                    if at is not None:
                        ended[at] = done
        finally:
            for ticket in waiting:
                self._engine.cancel(ticket)
        return [ended[at] for at in range(len(requests))]

    def _answer(self, done: Completion) -> Response:
        if done.failure is not None:
            raise EngineTrouble(done.failure.message, self._hint(done.failure))
        return _response(done)

    def _hint(self, failure: TransportFailure) -> str:
        if self._place.socket:
            return ""
        if failure.kind in (FailureKind.CERTIFICATE, FailureKind.TLS, FailureKind.SETUP):
            return "check the files in DOCKER_CERT_PATH, or of the docker context"
        if failure.kind in (FailureKind.BROKEN, FailureKind.PROTOCOL):
            return "an engine that speaks TLS needs DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH"
        return ""

    def _good(self, answer: Response) -> Response:
        if answer.status == 200:
            return answer
        hint = ""
        if answer.status == 400 and "HTTPS server" in _message(answer):
            hint = "an engine that speaks TLS needs DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH"
        raise EngineTrouble(f"it answers {_told(answer)}", hint)

    def _details(self, answer: Response) -> Details:
        found = details(_decoded(self._good(answer)))
        if found is None:
            raise EngineTrouble("it describes an image without an ID")
        return found


def _response(done: Completion) -> Response:
    assert done.response is not None
    return done.response


def _check_socket(path: str) -> None:
    """Raise EngineTrouble, which says why, where nobody can be met at the socket `path`."""
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISSOCK(mode):
            raise EngineTrouble("it is no socket")
    except PermissionError as error:
        raise EngineTrouble("permission denied", _PERMISSION_HINT) from error
    except OSError as error:
        reason = "no socket there"
        if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
            reason = (error.strerror or str(error)).lower()
        raise EngineTrouble(reason) from error
    if not os.access(path, os.R_OK | os.W_OK):
        raise EngineTrouble("permission denied", _PERMISSION_HINT)


def _decoded(answer: Response) -> object:
    try:
        value: object = json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise EngineTrouble("its answer is not JSON") from error
    return value


def _told(answer: Response) -> str:
    message = sentence(_message(answer))
    return f"{answer.status}: {message}" if message else str(answer.status)


def _message(answer: Response) -> str:
    try:
        value = json.loads(answer.body)
    except (ValueError, RecursionError):
        return answer.body.decode(errors="replace")
    message = value.get("message") if isinstance(value, dict) else None
    return message if isinstance(message, str) else ""


def _parse_version(text: object) -> ApiVersion | None:
    major, _, minor = text.partition(".") if isinstance(text, str) else ("", "", "")
    if not all(part.isascii() and part.isdigit() and len(part) < 6 for part in (major, minor)):
        return None
    return int(major), int(minor)


def _spelt(version: ApiVersion) -> str:
    return f"{version[0]}.{version[1]}"


def _as_json(platform: Platform) -> dict[str, str]:
    value = {"os": platform.os, "architecture": platform.architecture}
    return {**value, "variant": platform.variant} if platform.variant else value
