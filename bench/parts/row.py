"""The kinds of rows: a push in rounds, a series of such, start-up, and scripts about parts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from typing import Protocol

from bench import ROOT
from bench.parts.corpus import Corpus, Source
from bench.parts.cost import Failed, Launcher, Sample, Samples, scaled
from bench.parts.home import Home
from bench.parts.installed import PROGRAM, PYTHON
from bench.parts.peers import Destination, Peer
from bench.parts.registries import Registry, Trust, running
from bench.parts.targets import Points, Target

GB = 1e9


@dataclass(frozen=True, slots=True)
class Bench:
    """What all rows share. `peers` are those that are on this machine, ours first.

    `rounds` is 0 where each row is to choose.
    """

    launcher: Launcher
    home: Home
    trust: Trust
    peers: Mapping[str, Peer]
    long: bool = False
    rounds: int = 0


class Row(Protocol):
    """Something to measure under a name, and what is to be reached there."""

    @property
    def name(self) -> str:
        """To choose it by."""

    @property
    def work(self) -> str:
        """What is done, for the table."""

    @property
    def long(self) -> bool:
        """Whether the short mode is without it."""

    @property
    def targets(self) -> Sequence[Target]:
        """What is to be reached."""

    def run(self, bench: Bench) -> Points:
        """Measure. Raises Missing where it cannot be done on this machine."""


@dataclass(frozen=True, slots=True)
class Push:
    """One image or many to a registry, by ours and by peers in turns, into repositories of theirs.

    In the short mode only `peers` take part, and with many images always, for loops take minutes.
    Of loops only so many images are pushed as `looped` says, if it does, and what that takes is
    multiplied. `again` is the push of what is there already; `cold` has the image read from the
    disk; `anew` is a new registry for each round and program; `files` has open files counted.
    """

    name: str
    work: str
    corpus: Corpus
    registry: str = "null"
    peers: tuple[str, ...] = ()
    targets: Sequence[Target] = ()
    round_trip: float = 0.0
    bandwidth: int = 0
    again: bool = False
    cold: bool = False
    anew: bool = False
    looped: int = 0
    files: bool = False
    rounds: int = 3
    long: bool = False

    def run(self, bench: Bench) -> Points:
        """Measure at one point."""
        with ExitStack() as stack:
            source = stack.enter_context(self.corpus.opened())
            all_peers = bench.long and not source.images
            peers = {
                name: peer
                for name, peer in bench.peers.items()
                if source.kind in peer.commands and (all_peers or name in self.peers or peer.ours)
            }
            samples: Samples = {name: [] for name in peers}
            source.warm()
            shared = None if self.anew else stack.enter_context(self._running(bench))
            for number in range(-self.again, bench.rounds or self.rounds):
                for name, peer in tuple(peers.items()):
                    try:
                        with nullcontext(shared) if shared else self._running(bench) as registry:
                            sample = self._sample(bench, peer, source, registry, number)
                    except Failed as failed:
                        if peer.ours:
                            raise
                        print(f"    without {name}: {failed}")
                        del peers[name], samples[name]
                        continue
                    if number >= 0:
                        samples[name].append(sample)
        return {"": samples}

    def _running(self, bench: Bench) -> AbstractContextManager[Registry]:
        return running(self.registry, bench.trust, self.round_trip, self.bandwidth)

    def _sample(
        self,
        bench: Bench,
        peer: Peer,
        source: Source,
        registry: Registry,
        number: int,
    ) -> Sample:
        """One push; `number` counts the rounds. Raises Failed."""
        environ = bench.home.environ(SSL_CERT_FILE=str(bench.trust.bundle))
        if source.engine:
            environ["DOCKER_HOST"] = source.engine
        slug = peer.name.replace(" ", "-")
        count = len(source.images)
        if self.looped and not peer.ours:
            source = replace(source, images=source.images[: self.looped])
        to = Destination(registry.host, slug if self.again else f"{slug}-{number}", registry.plain)
        command = peer.commands[source.kind](peer.program(), source, to)
        if not self.again:
            bench.home.forget()
        if self.cold:
            source.evict()
        registry.reset()
        sample = bench.launcher.measure(command, environ, files=self.files)
        below = [f"{to.repository}/{image}" for image in source.images]
        sample |= registry.counts() | registry.stored(below or [to.repository])
        if count:
            sample = scaled(sample, count / len(source.images))
        sample["cpu_per_gb"] = sample["cpu"] / (source.size / GB)
        if "requests" in sample:
            sample["requests_per_blob"] = sample["requests"] / source.blobs
            sample["requests_per_image"] = sample["requests"] / max(count, 1)
        return sample


@dataclass(frozen=True, slots=True)
class Series:
    """The same push at several points of an axis; the short mode has those of `short` alone."""

    name: str
    work: str
    axis: str
    points: Mapping[float, Push]
    short: Sequence[float] = ()
    targets: Sequence[Target] = ()
    long: bool = False

    def run(self, bench: Bench) -> Points:
        """Measure at each point."""
        chosen = self.points if bench.long or not self.short else self.short
        return {f"{x:g}": self.points[x].run(bench)[""] for x in chosen}


@dataclass(frozen=True, slots=True)
class StartUp:
    """What the command costs before it does anything, beside a Python that does nothing."""

    name: str
    work: str
    targets: Sequence[Target] = ()
    rounds: int = 20
    long: bool = False
    commands: Mapping[str, Sequence[str]] = field(
        default_factory=lambda: {
            "python -c pass": (str(PYTHON), "-c", "pass"),
            "idpbuilder --version": (str(PROGRAM), "--version"),
            "push --help": (str(PROGRAM), "push", "--help"),
        }
    )

    def run(self, bench: Bench) -> Points:
        """Measure the commands in turns."""
        environ = bench.home.environ()
        samples: Samples = {name: [] for name in self.commands}
        for _ in range(bench.rounds or self.rounds):
            for name, command in self.commands.items():
                samples[name].append(bench.launcher.measure(command, environ))
        return {"": samples}


@dataclass(frozen=True, slots=True)
class Script:
    """A script that compares parts of ours with what they stand in for, and tells of it."""

    name: str
    work: str
    targets: Sequence[Target] = ()
    long: bool = True

    def run(self, bench: Bench) -> Points:
        """Run it."""
        path = ROOT / "bench" / f"{self.name}.py"
        subprocess.run([sys.executable, str(path)], check=True)
        return {}
