"""Runs rows, and writes what they found into `build/bench/results`."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench import BUILD
from bench.parts.cost import Failed, Launcher
from bench.parts.home import Home
from bench.parts.installed import install
from bench.parts.missing import Missing
from bench.parts.peers import PEERS, Peer
from bench.parts.plot import plot
from bench.parts.publish import publish
from bench.parts.record import Found, Record, record
from bench.parts.registries import Trust
from bench.parts.row import Bench, Row
from bench.parts.table import document, medians
from bench.rows import ROWS


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help="these alone, by name")
    parser.add_argument("--long", action="store_true", help="all rows, all peers, all points")
    parser.add_argument("--rounds", type=int, default=0, help="in place of each row's own number")
    parser.add_argument("--results", type=Path, default=BUILD / "results", metavar="FOLDER")
    parser.add_argument("--publish", action="store_true", help="write README.md and docs/ too")
    parser.add_argument("--list", action="store_true", help="show the rows")
    return parser.parse_args()


def chosen(names: Sequence[str], *, long: bool) -> list[Row]:
    """The rows of these names, or all of the mode."""
    known = {row.name: row for row in ROWS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SystemExit(f"no such row: {', '.join(unknown)}; --list shows them")
    return [known[name] for name in names] or [row for row in ROWS if long or not row.long]


def peers_here() -> dict[str, Peer]:
    """The peers that are on this machine; a line for each that is not."""
    found = {}
    for peer in PEERS:
        try:
            peer.program()
        except Missing as missing:
            print(f"without {peer.name}: {missing}")
        else:
            found[peer.name] = peer
    return found


def run(row: Row, bench: Bench) -> Found:
    """Measure one row, and print its figures as they come."""
    began = time.monotonic()
    print(f"\n{row.name}: {row.work}", flush=True)
    try:
        found = Found.of(row, row.run(bench))
    except Missing as missing:
        print(f"    skipped: {missing}")
        return Found.of(row, {}, str(missing))
    for point, samples in found.points.items():
        for line in medians(samples):
            print(f"    {point:>6} {line}")
    print(f"    ({time.monotonic() - began:.0f} s)", flush=True)
    return found


def write(result: Record, folder: Path) -> None:
    """The record, its tables and its curves."""
    folder.mkdir(parents=True, exist_ok=True)
    name = result.date[:19].replace(":", "")
    result.write(folder / f"{name}.json")
    text = document(result)
    (folder / f"{name}.md").write_text(text)
    for found in result.rows:
        if found.is_series:
            (folder / f"{name}-{found.name}.svg").write_text(plot(found))
    print(f"\n{text}\n{folder / name}.json, .md and .svg")


def main() -> None:
    """The command."""
    given = arguments()
    if given.list:
        for row in ROWS:
            print(f"{row.name:16} {'long ' if row.long else 'short'} {row.work}")
        return
    rows = chosen(given.rows, long=given.long)
    load = os.getloadavg()[0]
    install()
    peers = peers_here()
    with tempfile.TemporaryDirectory(prefix="idpbuilder-bench-") as folder, Launcher() as launcher:
        home, trust = Path(folder, "home"), Path(folder, "trust")
        home.mkdir()
        trust.mkdir()
        bench = Bench(launcher, Home(home), Trust(trust), peers, given.long, given.rounds)
        try:
            found = [run(row, bench) for row in rows]
        except Failed as failed:
            raise SystemExit(str(failed)) from None
    mode = "long" if given.long else "short"
    result = record(found, peers, mode, load)
    write(result, given.results)
    if given.publish:
        publish(result)


if __name__ == "__main__":
    main()
