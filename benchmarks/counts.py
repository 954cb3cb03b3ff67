"""Instruction counts on disk: versioned JSON with the raw counts; what one inference takes is computed when it is read.

schema 1   {schema, kind: "instructions", target, utc, board, core, emulator, llvm, python, threads, runs, rows: [{artifact, format, sha256, bytes,
           runtime, runtime_version, kernels, threads, delegate, reason, instructions: {empty, invoke, predict}}]}
           `instructions` are those executed in a window of `runs` inferences, and in one of none. With LLVM, a row holds predicted: {invoke,
           predict}, each {instructions, cycles, milliseconds, low, high} of one inference: predicted, not measured (docs/boards.md);
           predicted_with: {scale, measured, source} says of the board's scale 1 and "" (the published one), or what and where it was measured.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from dataclasses import fields as dataclass_fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.instructions import EMPTY, SCOPES, Counted
from benchmarks.predict import BoardTimes, Prediction
from benchmarks.reading import DAMAGE, check_fields, count, each, number, or_null, some_fields, text, utc
from benchmarks.targets.simulated import SimulatedTarget
from edge_runtime.counting import RUNS
from edge_runtime.errors import InputError, first_line

SCHEMA = 1
KIND = "instructions"  # a file of latencies has none
_TIME = some_fields(dict.fromkeys((field.name for field in dataclass_fields(Prediction)), number))

# What fields can hold; what only running tells is checked of rows that ran.
_RIGHT = {
    **dict.fromkeys(("target", "core", "board"), text),
    **{"utc": utc, "runs": count, "rows": each(lambda row: isinstance(row, dict))},
}
_RIGHT_ROW = {**dict.fromkeys(("artifact", "format", "sha256", "runtime", "reason"), text), "bytes": count}
_RIGHT_RAN = {
    **dict.fromkeys(("runtime_version", "kernels", "delegate"), text),
    **{"threads": count, "instructions": some_fields(dict.fromkeys((EMPTY, *SCOPES), count))},
    "predicted": or_null(some_fields(dict.fromkeys(SCOPES, _TIME))),
}


@dataclass(frozen=True)
class CountRow:
    """One artifact on one runtime and core."""

    fields: Mapping[str, Any]
    core: str
    runs: int

    @property
    def key(self) -> tuple[str, str, str]:
        return self.fields["artifact"], self.fields["runtime"], self.fields["kernels"]

    @property
    def kind(self) -> dict[str, str]:
        """Counts are comparable only where all of this is the same."""
        return {"core": self.core, **{name: self.fields[name] for name in ("format", "runtime", "kernels")}}

    def per_inference(self, scope: str) -> float:
        """Instructions of one inference: "invoke" is the interpreter alone, "predict" encodes the pixels and takes the label, too."""
        counts = self.fields["instructions"]
        return (counts[scope] - counts[EMPTY]) / self.runs

    def predicted(self, scope: str) -> Prediction | None:
        """Time of one inference on the board; None where LLVM was missing."""
        fields = self.fields.get("predicted")
        return Prediction(**fields[scope]) if fields else None


@dataclass(frozen=True)
class CountResult:
    """One session on one simulated board."""

    fields: Mapping[str, Any]

    @property
    def target(self) -> str:
        return str(self.fields["target"])

    @property
    def rows(self) -> list[CountRow]:
        return [CountRow(row, self.fields["core"], self.fields["runs"]) for row in self.fields["rows"] if not row["reason"]]

    @property
    def scale(self) -> str:
        """Where the scale of its predictions was measured; nothing where it is the published one."""
        return str(self.fields.get("predicted_with", {}).get("measured", ""))

    @property
    def failed(self) -> dict[tuple[str, str], str]:
        """Why rows could not be counted, by artifact and runtime."""
        return {(row["artifact"], row["runtime"]): row["reason"] for row in self.fields["rows"] if row["reason"]}


def predicted_with(times: BoardTimes) -> dict[str, Any]:
    """What a result says of the scale that its times were predicted with."""
    return {"scale": times.scale, "measured": times.measured, "source": times.source}


def check_constants(fields: Mapping[str, Any]) -> None:
    """ValueError for a scale that says no such thing. A result without LLVM, or from before there were any but the published ones, has none."""
    if "predicted_with" in fields:
        check_fields(fields, {"predicted_with": some_fields({"scale": number, "measured": text, "source": text})})


def to_result(
    counted: Sequence[Counted],
    target: SimulatedTarget,
    predicted: Sequence[Mapping[str, Prediction]] = (),
    llvm: str = "",
    times: BoardTimes | None = None,
) -> dict[str, Any]:
    """What `latency/<target>-<utc>.json` holds. `predicted`: what `predict_times` says of `counted`, with that version of LLVM and these times,
    if there is any."""
    predictions = predicted or [{}] * len(counted)
    constants = {"predicted_with": predicted_with(times)} if predicted and times else {}
    return {
        "schema": SCHEMA,
        "kind": KIND,
        "target": target.name,
        "utc": datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ"),
        "board": target.board.title,
        "core": target.board.core,
        "emulator": target.emulator(),
        "llvm": llvm,
        "python": ".".join(map(str, target.board.machine.python)),
        "threads": 1,
        "runs": RUNS,
        **constants,
        "rows": [_row(one, prediction) for one, prediction in zip(counted, predictions, strict=True)],
    }


def _row(one: Counted, predicted: Mapping[str, Prediction]) -> dict[str, Any]:
    artifact = one.artifact
    identity = {"artifact": artifact.path.name, "format": artifact.format, "sha256": artifact.sha256, "bytes": artifact.bytes, "runtime": one.runtime}
    times = {"predicted": {scope: asdict(time) for scope, time in predicted.items()}} if predicted else {}
    return {**identity, **one.facts, "reason": one.reason, "instructions": one.totals(), **times}


def read_counts(path: Path) -> CountResult:
    """Read one result file; InputError when it is damaged, foreign or from a newer edgeproof."""
    try:
        fields = json.loads(path.read_text())
        if not isinstance(fields, dict) or fields.get("kind") != KIND:
            raise InputError(f"{path} holds no instruction counts: give a file that `edgeproof bench --on sim-…` wrote.")
        if fields.get("schema") != SCHEMA:
            raise InputError(f"{path} has schema {fields.get('schema')}, this edgeproof reads {SCHEMA}: upgrade it.")
        check_fields(fields, _RIGHT)
        check_constants(fields)
        for row in fields["rows"]:
            check_fields(row, _RIGHT_ROW)
        result = CountResult(fields)
        for ran in result.rows:
            check_fields({"predicted": None, **ran.fields}, _RIGHT_RAN)
            if any(ran.per_inference(scope) <= 0 for scope in SCOPES):
                raise ValueError("an inference cannot take no instructions")
        return result
    except DAMAGE as error:
        raise InputError(f"Cannot read instruction counts {path} ({first_line(error)}).") from None
