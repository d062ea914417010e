"""What only writing shows: an upload is begun and cancelled, and a blob of a few bytes is put there
and taken away again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from idpbuilder.doctor.asking import Asking
from idpbuilder.doctor.finding import Fact, Finding, ok, warning
from idpbuilder.doctor.units import size_text, time_text
from idpbuilder.errors import PushError
from idpbuilder.image import Digest, InvalidValue
from idpbuilder.registry.call import Call
from idpbuilder.registry.endpoints import with_digest
from idpbuilder.registry.failure import diagnose, incompatible, is_success, refusal
from idpbuilder.registry.scope import Scope
from idpbuilder.wire import BytesBody, Request, Response

FIRST = 1024 * 1024
"""Bytes by which the rate is measured; where they are gone at once, MORE follow."""
MORE = 8 * 1024 * 1024
_AT_ONCE = 0.25
_SMALL = 32
_OCTETS = ("Content-Type", "application/octet-stream")


class Trial:
    """Writes into `repository` what nobody needs. `step` is told what is tried next.

    Whatever comes of it, the upload sessions that were opened are cancelled at the end.
    """

    def __init__(
        self,
        asking: Asking,
        repository: str,
        step: Callable[[str], None],
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._asking = asking
        self._repository = repository
        self._step = step
        self._random = random
        self._opened = 0
        self._cancelled = 0
        self._open: list[str] = []
        self._blob: Digest | None = None
        self._removed = False

    def findings(self) -> Iterator[Finding]:
        """What came of it. Raises PushError where no upload is to be had."""
        failed: PushError | None = None
        try:
            yield from self._upload()
            yield from self._store()
            yield from self._mount()
            self._remove()
        except PushError as error:
            failed = error
        finally:
            for url in self._open:
                self._cancelled += self._asking.cancel(url, self._repository)
        if self._opened or self._blob:
            yield self._cleaned_up()
        if failed is not None:
            raise failed

    # -- a session, and how fast it fills

    def _upload(self) -> Iterator[Finding]:
        self._step("upload session")
        endpoint = self._asking.endpoint
        answer = self._ask("POST", endpoint.uploads(self._repository))
        if not is_success(answer):
            raise refusal(answer, f"no upload can be started in `{self._repository}`")
        url = self._begun(answer)
        yield ok("upload session", f"opened in `{self._repository}`")
        least, most = _limit(answer, "Min"), _limit(answer, "Max")
        yield _chunks(least, most)
        self._step("upload rate")
        yield self._rate(url, least, most)

    def _rate(self, url: str, least: int, most: int) -> Finding:
        sent = 0
        for size in (FIRST, MORE):
            part = min(max(size, least), most or MORE, MORE)
            last = sent + part - 1
            fields = (_OCTETS, ("Content-Range", f"{sent}-{last}"))
            answer = self._ask("PATCH", url, fields, self._random(part))
            if not is_success(answer):
                return _refused(answer, part)
            url = self._moved(url, answer)
            seconds = self._asking.last.completion.seconds
            if seconds >= _AT_ONCE:
                break
            sent += part
        rate = part / max(seconds, 1e-6)
        facts: dict[str, Fact] = {"bytes": part, "seconds": seconds, "bytesPerSecond": round(rate)}
        detail = f"{size_text(rate)}/s ({size_text(part)} in {time_text(seconds)})"
        return ok("upload rate", detail, facts)

    def _moved(self, url: str, answer: Response) -> str:
        location = answer.headers.get("Location")
        if not location:
            return url
        moved = self._resolved(answer, location)
        self._open.remove(url)
        self._open.append(moved)
        return moved

    # -- a blob, and whether the registry says that it is there

    def _store(self) -> Iterator[Finding]:
        self._step("single POST")
        data = self._random(_SMALL)
        digest = Digest.of(data)
        url = with_digest(self._asking.endpoint.uploads(self._repository), digest)
        answer = self._ask("POST", url, (_OCTETS,), data)
        taken = answer.status == 201
        if taken:
            self._blob = digest
            yield ok("single POST", "taken: a small blob may go in one request", {"taken": True})
            return
        said = "a session was opened in place of it"
        if is_success(answer):
            session = self._begun(answer)
            answer = self._ask("PUT", with_digest(session, digest), (_OCTETS,), data)
            if answer.status == 201:
                self._blob = digest
                self._open.remove(session)
                self._opened -= 1
        else:
            said = f"it answered {answer.status}"
        facts = {"taken": False}
        yield ok("single POST", f"not taken, {said}: each blob goes by POST and PUT", facts)

    def _mount(self) -> Iterator[Finding]:
        if self._blob is None:
            return
        self._step("mount probe")
        url = self._asking.endpoint.mount(self._repository, self._blob, self._repository)
        answer = self._ask("POST", url, lenient=True)
        honest = answer.status == 201
        facts = {"honest": honest, "status": answer.status}
        if honest:
            detail = "honest: one request asks for a blob and begins its upload"
        elif is_success(answer):
            self._begun(answer)
            detail = "useless: it begins an upload of what is there; blobs are asked for by HEAD"
        else:
            detail = f"refused ({answer.status}): blobs are asked for by HEAD"
        yield ok("mount probe", detail, facts)

    def _remove(self) -> None:
        if self._blob is not None:
            url = self._asking.endpoint.blob(self._repository, self._blob)
            # some give a token for no more than a push: then the blob stays
            delete = Scope(f"repository:{self._repository}:delete")
            answer = self._ask("DELETE", url, scopes=(delete,), lenient=True)
            self._removed = is_success(answer)

    def _cleaned_up(self) -> Finding:
        said = [f"{self._cancelled} of {self._opened} upload sessions cancelled"]
        if self._blob is not None:
            left = "stays until the registry's garbage collection"
            said.append(f"a blob of {_SMALL} B {'removed' if self._removed else left}")
        facts: dict[str, Fact] = {
            "sessions": self._opened,
            "cancelled": self._cancelled,
            "blob": str(self._blob) if self._blob else None,
            "removed": self._removed,
        }
        detail = "; ".join(said)
        if self._cancelled == self._opened:
            return ok("clean-up", detail, facts)
        hint = "the others hold throw-away bytes alone: the registry drops them after a while"
        return warning("clean-up", detail, hint, facts)

    # -- requests

    def _ask(
        self,
        method: str,
        url: str,
        fields: tuple[tuple[str, str], ...] = (),
        data: bytes | None = None,
        *,
        scopes: tuple[Scope, ...] = (),
        lenient: bool = False,
    ) -> Response:
        body = BytesBody(data) if data is not None else None
        request = Request(method, url, fields, body, self._asking.manner.trust)
        call = Call(request, (Scope.push(self._repository), *scopes), lenient=lenient)
        return self._asking.ask(call)

    def _begun(self, answer: Response) -> str:
        """The session that an answer opened."""
        location = answer.headers.get("Location")
        if not location:
            raise incompatible(_NO_UPLOAD, "the registry opened an upload without a Location")
        url = self._resolved(answer, location)
        self._open.append(url)
        self._opened += 1
        return url

    def _resolved(self, answer: Response, location: str) -> str:
        asking = self._asking
        try:
            return asking.endpoint.resolve(
                answer.url, location, insecure=asking.manner.insecure, peer=answer.peer
            )
        except InvalidValue as error:
            raise incompatible(_NO_UPLOAD, str(error)) from error


def _chunks(least: int, most: int) -> Finding:
    facts = {"minLength": least or None, "maxLength": most or None}
    bounds = [f"at least {size_text(least)}"] if least else []
    bounds += [f"at most {size_text(most)}"] if most else []
    detail = f"{' and '.join(bounds)} each" if bounds else "no limit is announced"
    return ok("chunks", detail, facts)


def _refused(answer: Response, size: int) -> Finding:
    facts: dict[str, Fact] = {"bytes": size, "status": answer.status}
    said = diagnose(answer).text
    aside = f" ({said})" if said else ""
    detail = f"{size_text(size)} in one request: it answered {answer.status}{aside}"
    if answer.status == 413:
        hint = "raise the limit of the registry, or of the proxy before it: pushes go in pieces"
    else:
        hint = "look at the registry's log: pushes send a blob whole where pieces are refused"
    return warning("upload rate", detail, hint, facts)


def _limit(answer: Response, which: str) -> int:
    text = (answer.headers.get(f"OCI-Chunk-{which}-Length") or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


_NO_UPLOAD = "no upload can be started"
