"""How rows and figures of `parity.json` are written: the same words in every report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.statistics import wilson_interval

FIGURES = ("images", "accuracy", "drop, pp (95 %)", "broken", "fixed", "agreement")


def subjects(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What to call each artifact: by its format where no other has the same, else by its file name. Keys are file names."""
    formats = {row["artifact"]: row["format"] for row in rows}
    shared = Counter(formats.values())
    return {artifact: format if shared[format] == 1 else artifact for artifact, format in formats.items()}


def shortened(name: str, length: int = 24) -> str:
    """A long name without its middle: files of one model differ at their ends."""
    return name if len(name) <= length else f"{name[: length // 3]}…{name[1 - length + length // 3 :]}"


def where(row: Mapping[str, Any]) -> str:
    """The runtime; its kernels and target only where they are not the usual ones."""
    kernels = "" if row["kernels"] == "default" else f" ({row['kernels']} kernels)"
    target = "" if row["target"] == "local" else f" at {row['target']}"
    return f"{row['runtime']}{kernels}{target}"


def labels(parity: Mapping[str, Any]) -> list[str]:
    """One short name a row, all different: "tflite-int8 on ai-edge-litert (builtin kernels)"."""
    names = subjects(parity["rows"])
    return [f"{names[row['artifact']]} on {where(row)}" for row in parity["rows"]]


def points(drop_pp: float) -> str:
    """Percentage points with two decimals, and no minus sign before zero."""
    return f"{round(drop_pp, 2) + 0.0:.2f}"


def percent(share: float | None) -> str:
    """Never 100 of what is not all."""
    if share is None:
        return ""
    return f"{min(100 * share, 99.99) if share < 1 else 100:.2f} %"


def drop(row: Mapping[str, Any]) -> str:
    """The drop with its upper bound, percentage points."""
    return "" if row["drop_pp"] is None else f"{points(row['drop_pp'])} (≤ {points(row['drop_upper_pp'])})"


def figures(row: Mapping[str, Any]) -> tuple[str, ...]:
    """In the order of FIGURES; empty where the row could not be judged."""
    counts = tuple("" if row[name] is None else str(row[name]) for name in ("broken", "fixed"))
    return f"{row['images']:,}", percent(row["accuracy"]), drop(row), *counts, percent(row["agreement"])


def verdict(row: Mapping[str, Any]) -> str:
    return str(row["verdict"]) if row["gates"] else f"{row['verdict']}, diagnostic"


def doubt(baseline: Mapping[str, Any]) -> str | None:
    """Why a baseline is nothing to be measured by: it is not proven to know more than which class is the most frequent one."""
    majority = baseline.get("majority")  # not in older files
    if majority is None or wilson_interval(round(baseline["accuracy"] * baseline["images"]), baseline["images"])[0] > majority:
        return None
    return (
        f"The baseline is right on {percent(baseline['accuracy'])} of these images, no better than always saying the most frequent class "
        f"({percent(majority)}): look at the order of the classes and at --preprocess. Exports that answer as it does prove nothing."
    )


def reasons(parity: Mapping[str, Any]) -> list[str]:
    """A line for each gating row that does not pass, and one for each cause that kept other rows from running."""
    lines = {}
    for label, row in zip(labels(parity), parity["rows"], strict=True):
        if row["gates"] and row["verdict"] != "PASS":
            lines[label] = f"{label}: {row['verdict']}: {row['reason']}"
        elif row["verdict"] == "UNSUPPORTED":
            lines.setdefault(row["reason"], f"{label}: {row['verdict']}: {row['reason']}")
    return list(lines.values())
