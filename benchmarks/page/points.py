"""Accuracy against time: a point a judged file, runtime and target. Measured and predicted times are never on one axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.page.boards import counted_rows
from benchmarks.page.subject import LOCAL, Subject, newest_by_target, own_rows, target_title
from benchmarks.reports.wording import drop, subjects
from benchmarks.results import LatencyRow


def points(subject: Subject) -> list[dict[str, Any]]:
    """For each target {target, title, kind: "measured" or "predicted", points: [{subject, format, runtime, time, low, high, accuracy, drop, bytes,
    verdict}]}. `time` is in microseconds where measured (low and high: the middle half of all runs), in milliseconds where predicted."""
    groups = [
        _group(subject, target, "measured", [_measured(row) for row in own_rows(subject, result)])
        for target, result in newest_by_target(subject, subject.latency).items()
    ]
    groups.sort(key=lambda group: group["target"] != LOCAL)
    for target in dict.fromkeys(result.target for result, _ in counted_rows(subject)):
        rows = [row for result, row in counted_rows(subject) if result.target == target]
        foreseen = [(row, row.predicted("predict")) for row in rows]
        times = [(row.fields, time.milliseconds, time.low, time.high) for row, time in foreseen if time]
        groups.append(_group(subject, target, "predicted", times))
    return [group for group in groups if group["points"]]


def _measured(row: LatencyRow) -> tuple[Any, float, float, float]:
    low, middle, high = np.percentile(row.samples["predict"], (25, 50, 75)) / 1000
    return row.fields, float(middle), float(low), float(high)


def _group(subject: Subject, target: str, kind: str, times: list[tuple[Any, float, float, float]]) -> dict[str, Any]:
    called, found = subjects(subject.parity["rows"]), []
    for facts, time, low, high in times:
        judged = _judged(subject, facts, target)
        if judged is not None:
            names = {"subject": called[facts["artifact"]], "format": facts["format"], "runtime": facts["runtime"], "bytes": facts["bytes"]}
            answers = {"accuracy": judged["accuracy"], "drop": drop(judged), "verdict": judged["verdict"]}
            found.append({**names, **answers, "time": round(time, 4), "low": round(low, 4), "high": round(high, 4)})
    return {"target": target, "title": target_title(target), "kind": kind, "points": found}


def _judged(subject: Subject, facts: Any, target: str) -> Any:
    """The parity row of that file and runtime on default kernels: judged there, else on this machine."""
    rows = [
        row
        for row in subject.parity["rows"]
        if (row["artifact"], row["runtime"], row["kernels"]) == (facts["artifact"], facts["runtime"], "default") and row["accuracy"] is not None
    ]
    return next((row for place in (target, LOCAL) for row in rows if row["target"] == place), None)
