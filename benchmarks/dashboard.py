"""The dashboard: one HTML file that shows what was proved and measured in one workspace or many. Works from `file://`, asks no network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from benchmarks.charts import specifications, vega_bundle
from benchmarks.gallery import MAX_CARDS
from benchmarks.page import words
from benchmarks.page.advice import worst_drop
from benchmarks.page.cells import Cell, Column, Line, Table, missing
from benchmarks.page.results import size_cell, time_cells
from benchmarks.page.section import best_here, compressed, section
from benchmarks.page.subject import Subject

MOST_BYTES = 3_000_000
_CARDS = (MAX_CARDS, 12, 6, 2, 0)  # changed pictures an artifact: fewer, where the page would become too large
_OVERVIEW = (
    Column("workspace", number=False),
    words.VERDICT,
    Column("baseline", "Accuracy of the Keras baseline on the workspace's own validation images: compare within one set of images only."),
    Column("ship", "The smallest file that passed wherever it was judged.", number=False),
    words.AT_MOST,
    words.SIZE,
    Column("fastest here", "The file that passed and was measured the fastest on this machine.", number=False),
    words.MEASURED,
)


def render(subjects: Sequence[Subject]) -> str:
    """The page. Of the changed pictures, as many are shown as keep it below 3 MB."""
    for most in _CARDS:
        page = _render(subjects, most)
        if len(page.encode()) <= MOST_BYTES:
            break
    return page


def _render(subjects: Sequence[Subject], cards_each: int) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(loader=PackageLoader("benchmarks"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    sections = [section(subject, cards_each) for subject in subjects]
    charted = any(one["has_points"] or one["has_histograms"] or one["has_history"] for one in sections)
    return environment.get_template("dashboard.html.j2").render(
        title=", ".join(subject.name for subject in subjects),
        sections=sections,
        overview=_overview(subjects, sections) if len(subjects) > 1 else None,
        charts=json.dumps(specifications()).replace("<", "\\u003c") if charted else "null",
        vega=compressed(vega_bundle()) if charted else "",
    )


def _overview(subjects: Sequence[Subject], sections: Sequence[dict[str, Any]]) -> Table:
    return Table("Workspaces", _OVERVIEW, [_line(subject, one) for subject, one in zip(subjects, sections, strict=True)])


def _line(subject: Subject, one: dict[str, Any]) -> Line:
    parity, ship, best = subject.parity, one["ship"], best_here(one["advices"])
    accuracy, images = parity["baseline"]["accuracy"], parity["baseline"]["images"]
    heads = [
        Cell(subject.name),
        Cell(parity["verdict"], f"Margin {parity['margin_pp']:g} pp.", verdict=parity["verdict"]),
        Cell(f"{accuracy:.2%}", f"{images:,} images.", accuracy),
    ]
    if ship is None:
        heads += [missing(one["why"])] * 3
    else:
        ran = [row for row in one["rows"] if row.artifact == ship["artifact"] and row.gates]
        heads += [Cell(ship["artifact"], one["why"]), worst_drop(subject, ran), size_cell(ship["bytes"])]
    if best is None or best.chosen is None or best.chosen.measured is None:
        return Line([*heads, missing(), missing()])
    return Line([*heads, Cell(f"{best.chosen.artifact} on {best.chosen.runtime}", best.why), time_cells(*best.chosen.measured)[0]])
