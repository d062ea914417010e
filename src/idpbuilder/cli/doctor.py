"""The command `doctor`: what is here to push with, and what a registry answers."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

import click

from idpbuilder.cli.command import Flag, PushCommand, Session
from idpbuilder.cli.exits import OK, exit_of
from idpbuilder.cli.flags import OUTPUT, information, push_flags
from idpbuilder.cli.streams import Stream
from idpbuilder.errors import PushError, UsageError

if TYPE_CHECKING:
    from idpbuilder.cli.given import Given
    from idpbuilder.doctor.finding import Finding, Part
    from idpbuilder.doctor.options import DoctorOptions
    from idpbuilder.redact import Secrets

    Findings = Iterable[tuple[Part, Finding]]

_TAKEN: Final = (
    "username",
    "password",
    "password_stdin",
    "authfile",
    "insecure",
    "cert_dir",
    "timeout",
    "output",
)
"""The flags of push's that mean here what they mean there."""
_WIDTHS: Final = (9, 17)


def _flags() -> list[click.Parameter]:
    taken = {flag.name: flag for flag in push_flags() if isinstance(flag, Flag)}
    timeout, output = taken["timeout"], taken["output"]
    timeout.help = "Longest time for all that the registry is asked, as 90s or 1h30m; 0: no limit."
    # whoever gives all his pushes an hour does not want to wait so long for this
    timeout.variable, timeout.default_text = "", "30s"
    output.help = "Form of the findings on stdout; json is one document."
    return [
        click.Argument(["registry"], required=False, metavar="[REGISTRY]"),
        *(taken[name] for name in _TAKEN),
        Flag(
            ["--write"],
            group="Operation",
            is_flag=True,
            help="Try uploads in REGISTRY's repository: sessions that are cancelled, and a blob of "
            "32 bytes that is deleted where the registry allows it.",
        ),
        *information(),
    ]


def _doctor(**values: object) -> int:
    """Look at what a push would find: on this machine, and at a registry.

    Tells of engines, credentials (never a secret), certificates, proxies and room on this machine.
    With REGISTRY, [http://|https://]host[:port][/repository], it is asked how it speaks and how it
    is signed in to, and, with a repository, for a token to push there. Nothing is written without
    --write. Each line is ok, a warning or a failure; the exit code is that of the first failure.
    """
    from idpbuilder.cli.given import Given
    from idpbuilder.cli.limits import raise_descriptor_limit
    from idpbuilder.cli.signals import signals_reach
    from idpbuilder.cli.values import one_of
    from idpbuilder.doctor.run import examine
    from idpbuilder.push.stop import Stop

    session = click.get_current_context().ensure_object(Session)
    flags = {flag.name: flag for flag in doctor.params if isinstance(flag, Flag) and flag.name}
    given = Given(flags, values, session.environ)
    output = given.value("output", lambda text: one_of(text, OUTPUT), "text")
    options = _options(given, values["registry"], session)
    raise_descriptor_limit()
    stop = Stop()
    show = _as_json if output == "json" else _as_text
    with signals_reach(stop):
        return show(options, examine(options, session.environ, stop), session.secrets)


def _options(given: Given, place: object, session: Session) -> DoctorOptions:
    from idpbuilder.cli.password import password_of
    from idpbuilder.cli.values import duration
    from idpbuilder.doctor.options import DEFAULT_TIMEOUT, DoctorOptions
    from idpbuilder.push.asked import REGISTRY_HINT, folder, parsed, prefix, user

    hint = REGISTRY_HINT.replace("namespace", "repository")
    found = parsed(place, "REGISTRY", prefix, hint) if isinstance(place, str) else None
    write = given.has("write")
    if write and (found is None or not found.namespace):
        raise UsageError(
            "`--write` needs a repository",
            hint="name one that may be written to, as `registry.example.com/team/scratch`",
        )
    options = DoctorOptions(
        registry=found.registry if found else "",
        repository=found.namespace if found else "",
        scheme=found.scheme if found else "",
        username=given.value("username", user, None),
        authfile=given.value("authfile", str, None),
        cert_dir=given.value("cert_dir", folder, None),
        insecure=given.switch("insecure"),
        timeout=given.value("timeout", duration, DEFAULT_TIMEOUT),
        write=write,
        confide=session.secrets.add,
    )
    from dataclasses import replace

    # last, so that nobody types a password for a command that cannot run
    return replace(options, password=password_of(given, session))


def _as_text(options: DoctorOptions, findings: Findings, secrets: Secrets) -> int:
    """A line for each finding, as soon as it is made."""
    from idpbuilder.doctor.finding import Part, State

    out, shown = Stream(sys.stdout), None
    errors: list[PushError | None] = []
    titles = {Part.HERE: "This machine", Part.REGISTRY: _place(options)}
    for part, finding in findings:
        if part is not shown:
            out.line(f"{'' if shown is None else chr(10)}{titles[part]}")
            shown = part
        for line in _lines(finding, secrets):
            out.line(line)
        if finding.state is State.FAILURE:
            errors.append(finding.error)
    return _code(errors)


def _lines(finding: Finding, secrets: Secrets) -> Iterator[str]:
    from idpbuilder.cli.failure import told

    state, what = _WIDTHS
    detail = told(finding.detail, secrets)
    yield f"  {finding.state.value:<{state}}{finding.what:<{what}}{detail}"
    if finding.hint:
        yield f"  {'':<{state + what}}hint: {told(finding.hint, secrets)}"


def _as_json(options: DoctorOptions, findings: Findings, secrets: Secrets) -> int:
    """One document, once all is known."""
    made = list(findings)
    code = _code([finding.error for _, finding in made if finding.error])
    document = {
        "registry": options.registry or None,
        "repository": options.repository or None,
        "exitCode": code,
        "findings": [_object(part, finding, secrets) for part, finding in made],
    }
    Stream(sys.stdout).line(json.dumps(document))
    return code


def _object(part: Part, finding: Finding, secrets: Secrets) -> dict[str, object]:
    from idpbuilder.cli.failure import told

    def shown(value: object) -> object:
        if isinstance(value, str):
            return told(value, secrets)
        return [shown(item) for item in value] if isinstance(value, tuple) else value

    return {
        "part": part.value,
        "what": finding.what,
        "state": finding.state.value,
        "detail": shown(finding.detail),
        "hint": shown(finding.hint),
        "facts": {name: shown(value) for name, value in finding.facts.items()},
    }


def _code(errors: Iterable[PushError | None]) -> int:
    return next((exit_of(error).code for error in errors if error is not None), OK)


def _place(options: DoctorOptions) -> str:
    return "/".join(filter(None, (options.registry, options.repository)))


doctor = PushCommand(
    "doctor",
    params=_flags(),
    callback=_doctor,
    help=_doctor.__doc__,
    options_metavar="[FLAGS]",
    add_help_option=False,
)
