"""The tables of what each operator costs, for a terminal: one an artifact and runtime. Predicted and measured times are never in one table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.operator_results import MEASURED_TIME, Cost, PartResult, PartRow
from benchmarks.predict import digits
from edge_runtime.bench import in_threads

if TYPE_CHECKING:
    from rich.table import Table

RUNTIME, PYTHON, WHOLE = "runtime", "Python", "whole"
_BAR = 20  # characters of the whole
_NOTES = {
    RUNTIME: "its call, and what is left over",
    PYTHON: "pixels in, label out",
    WHOLE: "one inference",
}


def parts_tables(result: PartResult) -> list[Table]:
    """One an artifact and runtime: its operators in order, then what is none of theirs, then the whole."""
    return [_table(result, row) for row in result.rows]


def parts_sentences(result: PartResult) -> list[str]:
    """Where the time goes, what is to be known of all these numbers, and which tables do not add up."""
    lines = []
    for row in result.rows:
        part, macs = row.costliest, sum(part["macs"] or 0 for part in row.fields["parts"])
        where = f"{', '.join(part['layers'])} ({part['operator']})" if part["layers"] else part["operator"]
        work = f", with {(part['macs'] or 0) / macs:.0%} of the multiply-accumulates" if macs else ""
        lines.append(f"{row.key[0]} on {row.key[1]}: {where} takes {row.share(part['cost']):.0%} of the {row.shared}{work}.")
    if any(row.predicted for row in result.rows):
        lines.append(
            "Predicted, not measured. The interval is the whole network's, in proportion: a single operator can be further off "
            f"({result.scale or 'docs/boards.md has the errors of whole networks'})."
        )
    for row in result.rows:
        if not row.adds_up(result.fields["how"]):
            rest = f"{100 * row.rest:+.1f} %"
            lines.append(f"{row.key[0]} on {row.key[1]}: its parts leave {rest} of the network unexplained: do not trust them that far.")
    return lines


def _table(result: PartResult, row: PartRow) -> Table:
    from rich.table import Table
    from rich.text import Text

    facts, counted = row.fields, row.shared != MEASURED_TIME
    where = f"{result.target} ({result.fields['core']})" if counted else result.target
    told = f"{where}, {in_threads(facts['threads'])}; shares of {row.shared}"
    title = f"Layers of {facts['artifact']} on {facts['runtime']} {facts['runtime_version']}, {told}"
    times = ("predicted µs", "predicted interval") if row.predicted else () if counted else ("measured µs", "99 % interval")
    columns = ("operator", "Keras layer", "MACs", *(("instructions",) if counted else ()), *times)
    table = Table(*columns, "share", box=None, pad_edge=False, header_style="bold", title=Text(title), title_justify="left")
    for column in table.columns[2:-1]:
        column.justify = "right"
    for part in facts["parts"]:
        macs = "" if part["macs"] == 0 else "?" if part["macs"] is None else f"{part['macs']:,}"
        table.add_row(*map(Text, (part["operator"], ", ".join(part["layers"]), macs, *_cells(row, part["cost"]))))
    total = sum(part["macs"] or 0 for part in facts["parts"])
    for name, cost in _others(row).items():
        macs = f"{total:,}" if name == WHOLE else ""
        table.add_row(*map(Text, (name, _NOTES[name], macs, *_cells(row, cost))), style="bold" if name == WHOLE else "dim")
    return table


def _others(row: PartRow) -> dict[str, Cost]:
    fields = row.fields
    return {
        RUNTIME: _sum(fields["call"], fields["rest"]),
        PYTHON: fields["python"],
        WHOLE: fields["predict"],
    }


def _sum(one: Cost, other: Cost) -> Cost:
    return {name: _sum(value, other[name]) if isinstance(value, dict) else value + other[name] for name, value in one.items()}


def _cells(row: PartRow, cost: Cost) -> list[str]:
    cells = []
    if "instructions" in cost:
        cells.append(f"{cost['instructions']:,.0f}")
    if "predicted" in cost:
        said = {name: 1000 * value for name, value in cost["predicted"].items()}
        cells += [_microseconds(said["milliseconds"]), _interval(said["low"], said["high"])]
    elif "microseconds" in cost:
        cells += [_microseconds(cost["microseconds"]), _interval(cost["low"], cost["high"])]
    share = row.share(cost)
    return [*cells, f"{'█' * round(_BAR * share):<{_BAR}} {100 * share:5.1f} %"]


def _microseconds(value: float) -> str:
    return digits(value) if value >= 10 else f"{value + 0.0:.2f}"


def _interval(one: float, other: float) -> str:
    return f"{_microseconds(min(one, other))} to {_microseconds(max(one, other))}"
