"""What one registry answers to who pushes there."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping

from idpbuilder.credentials import Given, Surroundings
from idpbuilder.doctor.asking import Asking, Manner
from idpbuilder.doctor.finding import Fact, Finding, failure, ok, warning
from idpbuilder.doctor.options import DoctorOptions
from idpbuilder.doctor.stores import Finder, chosen, finder
from idpbuilder.doctor.trial import Trial
from idpbuilder.doctor.units import time_text
from idpbuilder.errors import Interrupted, PushError, Unreachable
from idpbuilder.image import Digest
from idpbuilder.image.host import is_loopback
from idpbuilder.registry.call import Call
from idpbuilder.registry.challenge import Challenge, parse_challenges
from idpbuilder.registry.endpoints import origin
from idpbuilder.registry.failure import bare, clean, diagnose, incompatible, refusal
from idpbuilder.registry.scope import Scope
from idpbuilder.transport.insecure import InsecureRegistries
from idpbuilder.transport.proxy import ProxyUnusable, proxy_for
from idpbuilder.transport.trust import TrustUnusable, certs_d, find_certificates, folder_for
from idpbuilder.wire import Engine, Request, Response, Trust

_PINGS = 3
_HELPER_SECONDS = 60.0
"""For a helper that may have to ask for a passphrase."""
_STEP_SECONDS = 5.0
_DAY = 86400.0
_SOON = 14 * _DAY
_VERSION = "Docker-Distribution-Api-Version"
_NOWHERE = "0" * 64
"""No blob has this digest: whoever is asked for it answers by what he lets us do."""
_NOT_PLAIN = "it speaks TLS: leave out `http://`"
_NO_REGISTRY = "check host and port: what answers there is another kind of server"


class Visit:
    """One visit to one registry. `check` may raise, to stop it; `now` tells seconds since 1970."""

    def __init__(
        self,
        options: DoctorOptions,
        environ: Mapping[str, str],
        engine: Engine,
        check: Callable[[], None],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._options = options
        self._environ = environ
        self._engine = engine
        self._check = check
        self._now = now
        self._step = ""
        self._told: list[Finding] = []
        self._began = time.monotonic()

    def findings(self) -> Iterator[Finding]:
        """What there is to tell, as it is found out; after a failure that ends it nothing more.

        Raises Interrupted.
        """
        try:
            yield from self._findings()
        except Interrupted:
            raise
        except PushError as error:
            yield from self._warnings()
            yield failure(self._step, error)

    def _findings(self) -> Iterator[Finding]:
        self._step = "credentials"
        find = self._finder()
        yield chosen(self._options.registry, find)
        self._step = "trust"
        trust, insecure = self._trust()
        yield from self._warnings()
        asking = self._asking(trust, insecure, find)
        self._step = "proxy"
        proxy = self._proxy(asking)
        yield _by_way_of(proxy)
        self._step = "connection"
        greeting = asking.greet()
        # without TLS, which some turn out not to speak, it may be another
        before, proxy = proxy, self._proxy(asking)
        if proxy != before:
            yield _by_way_of(proxy)
        yield self._connection(asking, by_proxy=bool(proxy))
        self._step = "registry"
        yield _judged(asking, greeting)
        yield from self._signed_in(asking, greeting, find)
        self._step = "round trip"
        yield self._round_trip(asking)
        if self._options.write and self._options.repository:
            yield from Trial(asking, self._options.repository, self._next).findings()
        yield from self._warnings()

    def _next(self, step: str) -> None:
        self._step = step

    def _warnings(self) -> Iterator[Finding]:
        """What was told on the way, once."""
        told, self._told = self._told, []
        yield from told

    # -- before the first request

    def _finder(self) -> Finder:
        options = self._options
        given = Given(options.username, options.password, options.authfile)
        patience = min(options.timeout or _HELPER_SECONDS, _HELPER_SECONDS)
        surroundings = Surroundings(
            self._environ, self._warns("credentials"), options.confide, self._check, patience
        )
        return finder(options.registry, options.repository, given, surroundings)

    def _trust(self) -> tuple[Trust, bool]:
        """Whom to believe, and whether it counts as `--insecure`, as push settles it."""
        options, warn = self._options, self._warns("trust")
        path = None
        if not options.insecure:
            files = InsecureRegistries(self._environ, lambda note: None, warn)
            path = files.said_by(options.registry, options.repository)
        insecure = options.insecure or path is not None
        folder = options.cert_dir or folder_for(
            options.registry, certs_d(self._environ), lambda note: None, warn
        )
        trust = Trust(verify=not insecure, cert_dir=folder)
        try:
            find_certificates(trust, self._environ)
        except TrustUnusable as why:
            hint = "check `--cert-dir`, the certs.d folders, SSL_CERT_FILE and SSL_CERT_DIR"
            raise Unreachable("the certificates cannot be used", str(why), hint) from why
        said = [f"certificates from `{folder}`"] if folder else []
        if insecure:
            said.append(f"any certificate is taken, by {f'`{path}`' if path else '`--insecure`'}")
        if said:
            facts: dict[str, Fact] = {"folder": folder, "insecure": insecure}
            self._told.append(ok("trust", "; ".join(said), facts))
        return trust, insecure

    def _asking(self, trust: Trust, insecure: bool, find: Finder) -> Asking:
        options = self._options
        manner = Manner(trust, insecure, options.scheme, options.timeout, options.confide)
        return Asking(options.registry, manner, find, self._engine, self._check)

    def _proxy(self, asking: Asking) -> str:
        try:
            proxy = proxy_for(asking.endpoint.base, self._environ)
        except ProxyUnusable as error:
            hint = (
                "write it as `http://USER:PASSWORD@HOST:PORT`, or except the registry by NO_PROXY"
            )
            raise Unreachable(
                f"{asking.endpoint.authority} cannot be reached", str(error), hint
            ) from error
        scheme, separator, rest = proxy.partition("://")
        return f"{scheme}{separator}{rest.rpartition('@')[2]}"

    def _warns(self, what: str) -> Callable[[str], None]:
        hint = "repair what it names, or take it away"
        return lambda text: self._told.append(warning(what, text, hint))

    # -- the connection

    def _connection(self, asking: Asking, *, by_proxy: bool) -> Finding:
        from idpbuilder.doctor.versions import agree, plain

        scheme, host, port = origin(asking.endpoint.base)
        assert port is not None
        response = asking.last.completion.response
        peer = response.peer if response is not None else ""
        facts: dict[str, Fact] = {"scheme": scheme, "address": peer or None}
        where = f", at {peer}" if peer and peer != host else ""
        if by_proxy:
            # whoever asked by himself would have to speak to the proxy
            way = "TLS" if scheme == "https" else "plain HTTP"
            return ok("connection", f"{way}, by way of the proxy", facts)
        if scheme == "http":
            version = plain(host, port, "/v2/", self._left())
            facts["http"] = (version,) if version else ()
            detail = f"plain HTTP{f', {version}' if version else ''}{where}"
            if is_loopback(host):
                return ok("connection", detail, facts)
            hint = "have the registry speak TLS: whoever is on the way reads and changes all"
            return warning("connection", detail, hint, facts)
        trust = asking.manner.trust
        found = find_certificates(trust, self._environ) if trust.verify else None
        agreed = agree(host, port, found, self._left)
        if agreed is None:
            return ok("connection", f"TLS{where}", facts)
        facts |= {"tls": agreed.tls, "http": agreed.http, "issuer": agreed.issuer or None}
        detail = f"{agreed.tls}, {' and '.join(agreed.http)}{where}"
        if agreed.until is None:
            return ok("connection", detail, facts)
        facts["certificateSeconds"] = round(agreed.until - self._now())
        days = int((agreed.until - self._now()) // _DAY)
        by = f" by {clean(agreed.issuer)}" if agreed.issuer else ""
        detail += f"; the certificate{by} holds for {days} more days"
        if agreed.until - self._now() < _SOON:
            hint = "renew the registry's certificate"
            return warning("connection", detail, hint, facts)
        return ok("connection", detail, facts)

    def _left(self) -> float:
        """Seconds for the next step."""
        if self._options.timeout is None:
            return _STEP_SECONDS
        return min(_STEP_SECONDS, self._options.timeout - (time.monotonic() - self._began))

    # -- who we are to it

    def _signed_in(self, asking: Asking, greeting: Response, find: Finder) -> Iterator[Finding]:
        self._step = "sign-in"
        repository = self._options.repository
        scopes = (Scope.push(repository),) if repository else ()
        challenge = _challenge(greeting)
        if challenge and challenge.scheme == "bearer" and not repository and not _finds(find):
            yield ok("sign-in", f"{_asked(challenge)}: name a repository to have it asked for")
            return
        asking.introduce()
        if greeting.status == 401:
            # what is no registry may ask for a password too
            _judged(asking, asking.greet(scopes))
        if repository:
            blob = Digest.parse(f"sha256:{_NOWHERE}")
            url = asking.endpoint.blob(repository, blob)
            answer = asking.ask(Call(Request("HEAD", url, trust=asking.manner.trust), scopes))
            if answer.status not in (200, 404, 405):
                raise refusal(answer, f"`{repository}` could not be asked for a blob")
        challenge = challenge or next(
            (
                found
                for one in asking.exchanges
                if one.completion.response and (found := _challenge(one.completion.response))
            ),
            None,
        )
        if challenge is None:
            detail = f"`{repository}` asks for none" if repository else "a greeting needs none"
            yield ok("sign-in", detail, {"scheme": None})
            return
        credentials = find()
        facts = {"scheme": challenge.scheme, "source": credentials.source if credentials else None}
        who = f"with what {credentials.source} gave" if credentials else "as nobody in particular"
        yield ok("sign-in", f"signed in {who}: {_asked(challenge)}", facts)
        if repository and challenge.scheme == "bearer":
            yield from _token(asking, challenge, repository)

    def _round_trip(self, asking: Asking) -> Finding:
        scopes = (Scope.push(self._options.repository),) if self._options.repository else ()
        seconds = []
        for _ in range(_PINGS):
            asking.greet(scopes)
            seconds.append(asking.last.completion.seconds)
        facts = {"seconds": min(seconds)}
        return ok("round trip", f"{time_text(min(seconds))}, the shortest of {_PINGS}", facts)


def _by_way_of(proxy: str) -> Finding:
    return ok("proxy", proxy or "none on the way", {"proxy": proxy or None})


def _finds(find: Finder) -> bool:
    try:
        return find() is not None
    except PushError:
        # told when the registry is told who we are
        return True


def _challenge(response: Response) -> Challenge | None:
    """How an answer asks to be signed in to; Bearer where there is a choice, as push takes it."""
    if response.status != 401:
        return None
    found = {one.scheme: one for one in reversed(parse_challenges(response.headers))}
    return found.get("bearer") or found.get("basic")


def _asked(challenge: Challenge) -> str:
    if challenge.scheme == "basic":
        return "Basic"
    return f"Bearer token of {clean(bare(challenge.parameters.get('realm', '')))}"


def _token(asking: Asking, challenge: Challenge, repository: str) -> Iterator[Finding]:
    realm = bare(challenge.parameters.get("realm", ""))
    path = realm.partition("://")[2]
    for one in reversed(asking.exchanges):
        # a proxy that ends TLS may have had the realm's scheme put right
        if bare(one.request.url).partition("://")[2] == path:
            seconds = one.completion.seconds
            detail = f"had for a push to `{repository}`, in {time_text(seconds)}"
            yield ok("token", detail, {"realm": clean(realm), "seconds": seconds})
            return


def _judged(asking: Asking, response: Response) -> Finding:
    """What answers `response` to a ping. Raises PushError where that is no registry."""
    where = asking.endpoint.authority
    version = clean(response.headers.get(_VERSION) or "")
    facts: dict[str, Fact] = {"apiVersion": version or None}
    if response.status == 401 and (version or _challenge(response) or diagnose(response).codes):
        return ok("registry", version or "it wants to know who asks", facts)
    if response.status == 200 and (version or _is_nothing_or_json(response.body)):
        return ok("registry", version or "speaks the distribution protocol", facts)
    if response.status == 403:
        raise refusal(response, f"{where} does not let us in")
    what = f"{where} is no registry"
    error = incompatible(what, _told_of(response))
    plain_to_tls = asking.endpoint.scheme == "http" and "HTTPS" in error.why
    error.hint = _NOT_PLAIN if plain_to_tls else _NO_REGISTRY
    raise error


def _told_of(response: Response) -> str:
    location = response.headers.get("Location")
    if 300 <= response.status < 400 and location:
        return f"it answered {response.status} to `/v2/` and sends us on to {clean(bare(location))}"
    said = diagnose(response).text
    return f"it answered {response.status} to `/v2/`" + (f" ({said})" if said else "")


def _is_nothing_or_json(body: bytes) -> bool:
    if not body.strip():
        return True
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True
