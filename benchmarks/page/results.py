"""The table of every artifact on every runtime: verdict, accuracy, drop, size and measured time. No predicted time is in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.page import words
from benchmarks.page.cells import Cell, Line, Table, missing
from benchmarks.page.subject import Subject, day, target_title
from benchmarks.reports.summary import SummaryRow, newest_of
from benchmarks.reports.wording import drop, percent, verdict
from benchmarks.results import LatencyResult, LatencyRow
from benchmarks.statistics import wilson_interval
from edge_runtime.bench import in_threads

COLUMNS = (
    words.FORMAT, words.VERDICT, words.RUNTIME, words.ACCURACY, words.DROP, words.SIZE, words.MEASURED, words.P99, words.RATIO, words.TARGET,
)  # fmt: skip


def results_table(subject: Subject, rows: Sequence[SummaryRow], ship: str | None) -> Table:
    """A line a summary row, those of the file to ship marked; formats that could not be exported stand below, with why."""
    lines = [_line(subject, row, row.artifact == ship) for row in rows]
    failed = subject.manifest.get("failed") or {}
    return Table("Results", COLUMNS, lines + [_never_made(format, reason) for format, reason in failed.items()])


def judged_row(parity: Mapping[str, Any], row: SummaryRow) -> Mapping[str, Any]:
    """The row of `parity.json` that a summary row comes from."""
    key = (row.artifact, row.runtime, row.kernels, row.target)
    return next(one for one in parity["rows"] if (one["artifact"], one["runtime"], one["kernels"], one["target"]) == key)


def verdict_cell(judged: Mapping[str, Any]) -> Cell:
    scale = judged.get("logit_scale")  # not in older files
    sureness = "" if scale is None else f" Its logits are {scale:.2f} times the baseline's."
    return Cell(verdict(judged), f"{judged['reason'][:1].upper()}{judged['reason'][1:]}.{sureness}", verdict=judged["verdict"])


def accuracy_cell(judged: Mapping[str, Any]) -> Cell:
    if judged["accuracy"] is None:
        return missing(judged["reason"])
    right = round(judged["accuracy"] * judged["images"])
    low, high = wilson_interval(right, judged["images"])
    return Cell(percent(judged["accuracy"]), f"{right:,} of {judged['images']:,} images; 95 % interval {low:.2%} to {high:.2%}.", judged["accuracy"])


def drop_cell(judged: Mapping[str, Any]) -> Cell:
    if judged["drop_pp"] is None:
        return missing(judged["reason"])
    counts = f"{judged['images']:,} images: {judged['broken']} broken, {judged['fixed']} fixed"
    interval = f"between {judged['drop_lower_pp']:.3f} and {judged['drop_upper_pp']:.3f} pp"
    return Cell(drop(judged), f"{counts}; {interval}, each bound 95 %; McNemar p {judged['mcnemar_p']:.2g}.", judged["drop_upper_pp"])


def size_cell(size: int) -> Cell:
    return Cell(f"{size / 1000:.1f} KB", f"{size:,} bytes.", size)


def microseconds(value: float) -> str:
    """Three digits and a unit that keeps them readable."""
    return f"{value:.1f} µs" if value < 100 else f"{value:.0f} µs" if value < 10_000 else f"{value / 1000:.1f} ms"


def time_cells(result: LatencyResult | None, row: LatencyRow | None) -> tuple[Cell, Cell]:
    """(median, p99) of the predict scope, with runs and the middle half."""
    if result is None or row is None:
        return missing(), missing()
    samples, median, p99 = row.samples["predict"], row.percentile_us(50), row.percentile_us(99)
    if median is None:
        return missing("no runs"), missing("no runs")
    quarter, most = np.percentile(samples, (25, 75)) / 1000
    place = f"{len(samples):,} runs in {len(row.fields['blocks'])} interleaved rounds, {in_threads(row.threads)}, {day(result.fields['utc'])}"
    middle = Cell(microseconds(median), f"{place}; the middle half between {quarter:.1f} and {most:.1f} µs.", median)
    why = "others took the processor too often to say" if row.crowded else "too few runs to say"
    return middle, (missing(why) if p99 is None else Cell(microseconds(p99), f"{place}.", p99))


def _line(subject: Subject, row: SummaryRow, ship: bool) -> Line:
    judged = judged_row(subject.parity, row)
    session, timed = newest_of(subject.latency, judged)
    median, p99 = time_cells(session, timed)
    ratio = missing("no float32 file was measured in the same session on this runtime")
    if timed and row.ratio is not None:
        rounds = f"{len(timed.fields['blocks'])} paired rounds."
        ratio = Cell(f"{row.ratio:.2f} ({row.ratio_low:.2f}–{row.ratio_high:.2f})", rounds, row.ratio)
    kernels = "" if row.kernels == "default" else f" ({row.kernels} kernels)"
    cells = (
        Cell(row.subject, row.artifact),
        verdict_cell(judged),
        Cell(f"{row.runtime}{kernels}", f"Version {judged['runtime_version']}." if judged["runtime_version"] else ""),
        accuracy_cell(judged),
        drop_cell(judged),
        size_cell(row.bytes),
        median,
        p99,
        ratio,
        Cell(target_title(row.target)),
    )
    return Line(cells, row.target, row.format, row.runtime, "ship" if ship else "" if row.gates else "diagnostic")


def _never_made(format: str, reason: str) -> Line:
    cells = [Cell(format), Cell("not exported", reason, verdict="FAIL")]
    return Line(cells + [missing("There is no such file.")] * (len(COLUMNS) - len(cells)), format=format)
