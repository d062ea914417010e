"""Puts a record's tables and curves where readers look: no figure is typed there by hand."""

from __future__ import annotations

from pathlib import Path

from bench import ROOT
from bench.parts.plot import plot
from bench.parts.record import Found, Record
from bench.parts.table import document, head, ratios

BEGIN = "<!-- Written by `python -m bench --publish`. -->\n"
END = "<!-- So far. -->\n"
CURVES = ROOT / "docs" / "curves"


def publish(record: Record) -> None:
    """Write what `record` found into README.md and docs/performance.md."""
    CURVES.mkdir(exist_ok=True)
    pictures = "".join(
        f"\n![{found.work}](curves/{_curve(found)})\n" for found in record.rows if found.is_series
    )
    _put(ROOT / "README.md", f"{head(record)}\n\n" + "\n".join(ratios(record.rows)) + "\n")
    _put(ROOT / "docs" / "performance.md", document(record) + pictures)


def _curve(found: Found) -> str:
    name = f"{found.name}.svg"
    (CURVES / name).write_text(plot(found))
    return name


def _put(page: Path, text: str) -> None:
    """Replace what stands between the marks of a page."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, mark, after = rest.partition(END)
    assert mark, f"{page} has no place for it"
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")
