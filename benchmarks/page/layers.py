"""What each operator of a network costs, by Keras layer: `latency/<target>-layers-<utc>.json`. A table holds measured times or predicted ones."""

from __future__ import annotations

from benchmarks.operator_results import INSTRUCTIONS, MEASURED_TIME, PREDICTED_TIME, Cost, PartResult, PartRow
from benchmarks.page.cells import Cell, Column, Line, Table, missing
from benchmarks.page.subject import Subject, target_title
from benchmarks.predict import digits
from benchmarks.reports.wording import subjects
from benchmarks.validity import INVALID

_OTHERS = {"call": "call of the runtime", "rest": "left over", "python": "pixels in, label out", "predict": "whole inference"}
_ABOUT = {
    MEASURED_TIME: Column("measured (99 % interval)", "Measured: median of rounds of differences, the network cut after each operator; one thread."),
    PREDICTED_TIME: Column(
        "predicted (interval)",
        "Predicted, not measured. The interval is the whole network's, in proportion: a single operator can be further off.",
    ),
    INSTRUCTIONS: Column("predicted (interval)", "No time was predicted: that takes LLVM."),
}
_INSTRUCTIONS = Column(
    "instructions", "Instructions of one inference, counted on the simulated board: difference of the network cut before and after.", sortable=False
)


def layer_tables(subject: Subject) -> list[Table]:
    """One an artifact, runtime and target, of files as they are now; their labels say which."""
    called = subjects(subject.parity["rows"])
    return [
        _table(row, f"{called.get(row.key[0], row.fields['format'])} on {row.key[1]}, {_place(result)}", result.target)
        for result in subject.layers
        for row in result.rows
        if row.fields["sha256"] == subject.sha256_of(row.key[0])
    ]


def _place(result: PartResult) -> str:
    """Where, and that its times are not to be trusted, if so."""
    doubt = f" ({result.validity})" if result.validity.startswith(INVALID) else ""
    return f"{target_title(result.target)}{doubt}"


def _table(row: PartRow, label: str, target: str) -> Table:
    counts = [] if row.shared == MEASURED_TIME else [_INSTRUCTIONS]
    share = Column("share", f"Of the whole inference, pixels to label, by {row.shared}.")
    columns = [Column("operator", number=False), Column("Keras layer", number=False), Column("MACs", "Multiply-accumulates, from the file's shapes.")]
    parts = [(part["operator"], ", ".join(part["layers"]), part["macs"], part["cost"]) for part in row.fields["parts"]]
    costs = [*parts, *((text, "", None, row.fields[name]) for name, text in _OTHERS.items())]
    lines = [
        Line([Cell(name), Cell(layers or "–"), _macs(macs), *_costs(cost, row), _share(cost, row)], target, row.fields["format"], row.key[1])
        for name, layers, macs, cost in costs
    ]
    return Table(label, [*columns, *counts, _ABOUT[row.shared], share], lines)


def _macs(macs: int | None) -> Cell:
    return Cell(f"{macs:,}", key=macs) if macs else missing("It multiplies nothing.")


def _costs(cost: Cost, row: PartRow) -> list[Cell]:
    if row.shared == MEASURED_TIME:
        return [Cell(f"{_short(cost['microseconds'])} µs ({_short(cost['low'])} to {_short(cost['high'])})", key=cost["microseconds"])]
    counted = Cell(f"{cost['instructions']:,.0f}", key=cost["instructions"])
    if not row.predicted:
        return [counted, missing("No time was predicted.")]
    low, middle, high = (1000 * cost["predicted"][name] for name in ("low", "milliseconds", "high"))
    return [counted, Cell(f"predicted {_short(middle)} µs ({_short(min(low, high))} to {_short(max(low, high))})", key=middle)]


def _share(cost: Cost, row: PartRow) -> Cell:
    return Cell(f"{100 * row.share(cost):.1f} %", key=row.share(cost))


def _short(value: float) -> str:
    return digits(value) if value >= 10 else f"{value + 0.0:.2f}"
