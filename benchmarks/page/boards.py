"""Simulated boards on the page: instructions as what they are, and predicted times with their intervals. No measured time is in this table."""

from __future__ import annotations

from benchmarks.counts import CountResult, CountRow
from benchmarks.page import words
from benchmarks.page.cells import Cell, Line, Table, missing
from benchmarks.page.subject import Subject, day, target_title
from benchmarks.predict import Prediction
from benchmarks.reports.instructions import millions
from benchmarks.reports.wording import subjects

COLUMNS = (
    words.FORMAT, words.RUNTIME, words.PREDICTED, words.PREDICTED_INVOKE, words.INSTRUCTIONS, words.INSTRUCTIONS_INVOKE, words.TARGET,
)  # fmt: skip


def counted_rows(subject: Subject) -> list[tuple[CountResult, CountRow]]:
    """The newest count of each file, as it is now, on each runtime and board."""
    found: dict[tuple[str, ...], tuple[CountResult, CountRow]] = {}
    for result in subject.counted:
        for row in result.rows:
            if row.fields["sha256"] == subject.sha256_of(row.fields["artifact"]):
                found.setdefault((result.target, *row.key), (result, row))
    return sorted(found.values(), key=lambda pair: pair[0].target)


def boards_table(subject: Subject) -> Table:
    called = subjects(subject.parity["rows"])
    return Table("Simulated boards", COLUMNS, [_line(result, row, called) for result, row in counted_rows(subject)])


def prediction_cell(prediction: Prediction | None) -> Cell:
    """Never without the word and the interval."""
    if prediction is None:
        return missing("No time was predicted: that takes LLVM (edgeproof doctor says what to install).")
    cycles = f"{millions(prediction.cycles)} cycles, {millions(prediction.instructions)} instructions; 1 thread."
    return Cell(str(prediction).replace(" ms", "\u00a0ms"), cycles, prediction.milliseconds)


def _line(result: CountResult, row: CountRow, called: dict[str, str]) -> Line:
    facts = row.fields
    runtime = f"{facts['runtime']} {facts['runtime_version']}, {facts['kernels']} kernels"
    kind = f"{facts['format']}, {runtime}, {row.core}; counted {day(result.fields['utc'])}."
    counts = [Cell(millions(row.per_inference(scope)), kind) for scope in ("predict", "invoke")]
    times = [prediction_cell(row.predicted(scope)) for scope in ("predict", "invoke")]
    names = (
        Cell(called.get(facts["artifact"], facts["format"]), facts["artifact"]),
        Cell(facts["runtime"], f"Version {facts['runtime_version']}, {facts['delegate'] or 'no delegate'}."),
    )
    place = Cell(target_title(result.target), f"{result.fields['board']}, {row.core}, {result.fields['emulator']}.")
    return Line((*names, *times, *counts, place), result.target, facts["format"], facts["runtime"])
