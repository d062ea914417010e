"""The project beside its peers: whole commands on the same images, registries and distances.

    python -m bench            # short: about three minutes, for every change
    python -m bench --long     # everything, for releases
    python -m bench --list     # the rows, to be run by name

`rows.py` says what is measured and what is to be reached; `parts/` is what rows are built from;
`go/` are the registry that keeps nothing and the distance to one. docs/performance.md tells how it
is measured.
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "bench"
"""Programs, images and results; may be deleted at any time."""
