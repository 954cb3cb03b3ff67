"""Every latency sample of a session, as a histogram on a logarithmic axis, with a table of what it comes to."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.page.cells import Cell, Column, Line, Table
from benchmarks.page.results import microseconds
from benchmarks.page.subject import Subject, day, own_rows, sessions, target_title
from benchmarks.reports.wording import subjects
from benchmarks.results import LatencyResult, LatencyRow

BINS = 64
EDGES = (0.2, 99.5)  # percentiles of all samples that the axis spans: the rest is counted in the outermost bins
_PERCENTILES = (5, 25, 50, 75, 95, 99)
COLUMNS = (
    Column("format", number=False),
    Column("runtime", number=False),
    Column("target", number=False),
    *(Column(f"p{percent}", f"Measured: {percent} of 100 runs took less. Encode pixels, run, take the label.") for percent in _PERCENTILES),
    Column("mean", "Measured: sum of all runs by their number."),
    Column("interpreter alone", "Measured median of the interpreter's own call."),
    Column("first run", "Measured: the first run of a fresh process."),
    Column("load", "Measured: opening the file in a fresh process."),
    Column("peak memory", "Largest resident size of a fresh process that answered once."),
    Column("runs", "How many runs were timed."),
)


def histograms(subject: Subject) -> list[dict[str, Any]]:
    """For each session what the page's script draws: {target, title, warning, low, high (µs, ends of the axis), rows: [{subject, format, runtime,
    counts [BINS], p50, p99}]}."""
    return [_histogram(subject, result) for result in sessions(subject)]


def _histogram(subject: Subject, result: LatencyResult) -> dict[str, Any]:
    rows, called = own_rows(subject, result), subjects(subject.parity["rows"])
    samples = [row.samples["predict"] / 1000 for row in rows]
    low = min(float(np.percentile(one, EDGES[0])) for one in samples)
    high = max(max(float(np.percentile(one, EDGES[1])) for one in samples), 1.01 * low)
    edges = np.geomspace(low, high, BINS + 1)
    return {
        "target": result.target,
        "title": target_title(result.target),
        "warning": result.validity if result.validity.startswith("INVALID") else "",
        "low": low,
        "high": high,
        "rows": [
            {
                "subject": called.get(row.fields["artifact"], row.fields["format"]),
                "format": row.fields["format"],
                "runtime": row.fields["runtime"],
                "counts": np.histogram(np.clip(one, low, high), edges)[0].tolist(),
                "p50": row.percentile_us(50),
                "p99": row.percentile_us(99),
            }
            for row, one in zip(rows, samples, strict=True)
        ],
    }


def distributions_table(subject: Subject) -> Table:
    called = subjects(subject.parity["rows"])
    lines = [_line(result, row, called) for result in sessions(subject) for row in own_rows(subject, result)]
    return Table("Latency distributions", COLUMNS, lines)


def _line(result: LatencyResult, row: LatencyRow, called: dict[str, str]) -> Line:
    facts, samples = row.fields, row.samples["predict"]
    doubt = f" Not to be trusted: {result.validity}." if result.validity.startswith("INVALID") else ""
    place = f"{len(samples):,} runs in {len(facts['blocks'])} rounds, {day(result.fields['utc'])}.{doubt}"
    values = [*np.percentile(samples, _PERCENTILES) / 1000, samples.mean() / 1000, row.percentile_us(50, "invoke") or 0.0]
    name = Cell(called.get(facts["artifact"], facts["format"]), facts["artifact"])
    cold = [Cell(f"{facts[scope]:.2f} ms", "One fresh process.", facts[scope]) for scope in ("first_ms", "load_ms")]
    memory = Cell(f"{facts['peak_memory_bytes'] / 1e6:.0f} MB", "One fresh process.", facts["peak_memory_bytes"])
    cells = (
        name,
        Cell(facts["runtime"], f"Version {facts['runtime_version']}, {facts['delegate'] or 'no delegate'}."),
        Cell(target_title(result.target)),
        *(Cell(microseconds(float(value)), place, float(value)) for value in values),
        *cold,
        memory,
        Cell(f"{len(samples):,}", key=len(samples)),
    )
    return Line(cells, result.target, facts["format"], facts["runtime"], "invalid" if doubt else "")
