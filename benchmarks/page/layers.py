"""What each operator of a network costs, by Keras layer: `latency/<target>-layers-<utc>.json`. A table holds measured times or predicted ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.page.cells import Cell, Column, Line, Table, missing
from benchmarks.page.subject import Subject, target_title
from benchmarks.predict import digits
from benchmarks.reports.wording import subjects
from benchmarks.validity import INVALID
from edge_runtime.errors import InputError

SCHEMA = 1
_OTHERS = {"call": "call of the runtime", "rest": "left over", "python": "pixels in, label out", "predict": "whole inference"}
_ABOUT = {
    "measured": Column("measured (99 % interval)", "Measured: median of rounds of differences, the network cut after each operator; one thread."),
    "predicted": Column(
        "predicted (interval)",
        "Predicted, not measured. The interval is the whole network's, in proportion: a single operator can be further off.",
    ),
    "counted": Column("predicted (interval)", "No time was predicted: that takes LLVM."),
}
_INSTRUCTIONS = Column(
    "instructions", "Instructions of one inference, counted on the simulated board: difference of the network cut before and after.", sortable=False
)


def read_layers(path: Path) -> Mapping[str, Any]:
    """The fields of one result; InputError when it is damaged, foreign or from a newer edgeproof."""
    try:
        fields = json.loads(path.read_text())
        if fields["kind"] != "layers" or fields["schema"] != SCHEMA:
            raise InputError(f"{path} is no result of layers of schema {SCHEMA}.")
        _ = fields["target"], fields["utc"], [_table(row, "") for row in fields["rows"] if not row["reason"]]
        return dict(fields)
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        raise InputError(f"Cannot read costs of layers {path} ({type(error).__name__}: {error}).") from None


def layer_tables(subject: Subject) -> list[Table]:
    """One an artifact, runtime and target, of files as they are now; their labels say which."""
    called = subjects(subject.parity["rows"])
    return [
        _table(row, f"{called.get(row['artifact'], row['format'])} on {row['runtime']}, {_place(result)}", result["target"])
        for result in subject.layers
        for row in result["rows"]
        if not row["reason"] and row["sha256"] == subject.sha256_of(row["artifact"])
    ]


def _place(result: Mapping[str, Any]) -> str:
    """Where, and that its times are not to be trusted, if so."""
    found = result.get("validity") or {}
    doubt = f" (INVALID: {'; '.join(found['reasons'])})" if found.get("verdict") == INVALID else ""
    return f"{target_title(result['target'])}{doubt}"


def _table(row: Mapping[str, Any], label: str, target: str = "") -> Table:
    whole = row["predict"]
    kind = "measured" if "microseconds" in whole else "predicted" if "predicted" in whole else "counted"
    counts = [] if kind == "measured" else [_INSTRUCTIONS]
    share = Column("share", f"Of the whole inference, pixels to label, by {'instructions' if kind == 'counted' else f'{kind} time'}.")
    columns = [Column("operator", number=False), Column("Keras layer", number=False), Column("MACs", "Multiply-accumulates, from the file's shapes.")]
    parts = [(part["operator"], ", ".join(part["layers"]), part["macs"], part["cost"]) for part in row["parts"]]
    costs = [*parts, *((text, "", None, row[name]) for name, text in _OTHERS.items())]
    lines = [
        Line([Cell(name), Cell(layers or "–"), _macs(macs), *_costs(cost, kind), _share(cost, whole, kind)], target, row["format"], row["runtime"])
        for name, layers, macs, cost in costs
    ]
    return Table(label, [*columns, *counts, _ABOUT[kind], share], lines)


def _macs(macs: int | None) -> Cell:
    return Cell(f"{macs:,}", key=macs) if macs else missing("It multiplies nothing.")


def _costs(cost: Mapping[str, Any], kind: str) -> list[Cell]:
    if kind == "measured":
        return [Cell(f"{_short(cost['microseconds'])} µs ({_short(cost['low'])} to {_short(cost['high'])})", key=cost["microseconds"])]
    counted = Cell(f"{cost['instructions']:,.0f}", key=cost["instructions"])
    if kind == "counted":
        return [counted, missing("No time was predicted.")]
    low, middle, high = (1000 * cost["predicted"][name] for name in ("low", "milliseconds", "high"))
    return [counted, Cell(f"predicted {_short(middle)} µs ({_short(min(low, high))} to {_short(max(low, high))})", key=middle)]


def _share(cost: Mapping[str, Any], whole: Mapping[str, Any], kind: str) -> Cell:
    share = _amount(cost, kind) / _amount(whole, kind)
    return Cell(f"{100 * share:.1f} %", key=share)


def _amount(cost: Mapping[str, Any], kind: str) -> float:
    if kind == "predicted":
        return float(cost["predicted"]["milliseconds"])
    return float(cost["microseconds" if kind == "measured" else "instructions"])


def _short(value: float) -> str:
    return digits(value) if value >= 10 else f"{value + 0.0:.2f}"
