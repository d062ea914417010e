"""A whole examination: this machine, then the registry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing

from idpbuilder.doctor.engines import engines
from idpbuilder.doctor.finding import Finding, Part
from idpbuilder.doctor.here import of_this_machine
from idpbuilder.doctor.options import DoctorOptions
from idpbuilder.doctor.registry import Visit
from idpbuilder.doctor.stores import stores
from idpbuilder.push.stop import Stop
from idpbuilder.transport.curl import CurlEngine
from idpbuilder.transport.proxy import secrets_in
from idpbuilder.transport.settings import EngineSettings


def examine(
    options: DoctorOptions, environ: Mapping[str, str], stop: Stop
) -> Iterator[tuple[Part, Finding]]:
    """Findings as they are made. Raises Interrupted when `stop` is asked to stop."""
    for secret in secrets_in(environ):
        options.confide(secret)
    with closing(CurlEngine(EngineSettings())) as engine:
        stop.wakes(engine.wake)
        try:
            for finding in of_this_machine(environ):
                yield Part.HERE, finding
            for finding in engines(environ, engine, stop.check):
                yield Part.HERE, finding
            for finding in stores(environ, options.authfile):
                yield Part.HERE, finding
            if options.registry:
                for finding in Visit(options, environ, engine, stop.check).findings():
                    yield Part.REGISTRY, finding
        finally:
            stop.wakes(None)
