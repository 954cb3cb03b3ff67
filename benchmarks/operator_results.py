"""What operators cost, on disk: versioned JSON.

schema 1   {schema, kind: "layers", how: "counted" | "measured", target, utc, threads, rows: [{artifact, format, sha256, bytes, runtime,
           runtime_version, kernels, threads, delegate, reason, parts: [{operator, layers, dtype, macs, cost}], call, rest, python, invoke,
           predict}]}
           Counted, also board, core, emulator, llvm and, as counts have it, predicted_with; measured, also host, validity and, of a board,
           board as a latency result has them. `layers` are names of Keras layers. Beside each part's, five costs: `call` is the runtime
           without any operator, `invoke` the whole network by itself, `predict` with encoding the pixels and taking the label, `python` the
           latter alone, and `rest` what is left over: parts + call + rest = invoke. What a delegate does once an inference is in the first
           part.
           A cost, counted: {instructions} of one inference and, with LLVM, {cycles, predicted: {milliseconds, low, high}}. Measured:
           {microseconds, low, high}: a median of rounds, and its 99 % interval. A part is a difference, and can come out a little below 0.

A predicted part has the interval of the whole network, in proportion: what the published times of networks leave open. No operator's time was
published: a single one can be further off, and the others make up for it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.counts import check_constants, predicted_with
from benchmarks.operators import Split, Step
from benchmarks.predict import BoardTimes, Prediction
from benchmarks.reading import DAMAGE
from benchmarks.targets.simulated import SimulatedTarget
from benchmarks.validity import in_words, verdict_on
from edge_runtime.board import host_facts
from edge_runtime.errors import InputError

SCHEMA = 1
KIND = "layers"
COUNTED, MEASURED = "counted", "measured"
MEASURED_TIME, PREDICTED_TIME, INSTRUCTIONS = "measured time", "predicted time", "instructions"
MOST_REST = {COUNTED: 0.02, MEASURED: 0.1}  # of the whole network that its parts may leave unexplained, beyond NOTHING
NOTHING = 0.5  # microseconds
_Z_99 = 2.576

Cost = dict[str, Any]
Predicted = Sequence[Mapping[str, Prediction]]


@dataclass(frozen=True)
class PartRow:
    """One artifact on one runtime, its operators in order."""

    fields: Mapping[str, Any]

    @property
    def key(self) -> tuple[str, str]:
        return self.fields["artifact"], self.fields["runtime"]

    @property
    def predicted(self) -> bool:
        return "predicted" in self.fields["invoke"]

    @property
    def shared(self) -> str:
        """What shares are of."""
        return MEASURED_TIME if "microseconds" in self.fields["invoke"] else PREDICTED_TIME if self.predicted else INSTRUCTIONS

    def amount(self, cost: Cost) -> float:
        """Measured microseconds, predicted milliseconds or instructions: what shares are of."""
        if "microseconds" in cost:
            return float(cost["microseconds"])
        return float(cost["predicted"]["milliseconds"] if self.predicted else cost["instructions"])

    def share(self, cost: Cost) -> float:
        """Of the whole inference, pixels to label."""
        return self.amount(cost) / self.amount(self.fields["predict"])

    @property
    def costliest(self) -> Mapping[str, Any]:
        """The part with the largest cost."""
        return dict(max(self.fields["parts"], key=lambda part: self.amount(part["cost"])))

    @property
    def rest(self) -> float:
        """What the parts and the call of the runtime do not explain, as a share of the whole network."""
        return self.amount(self.fields["rest"]) / self.amount(self.fields["invoke"])

    def adds_up(self, how: str) -> bool:
        """Whether the parts explain the whole, as near as differences can: MOST_REST."""
        if abs(self.rest) <= MOST_REST[how]:
            return True
        least = {MEASURED_TIME: NOTHING, PREDICTED_TIME: NOTHING / 1000}.get(self.shared, 0.0)
        return abs(self.amount(self.fields["rest"])) <= least


@dataclass(frozen=True)
class PartResult:
    """One session on one target."""

    fields: Mapping[str, Any]

    @property
    def target(self) -> str:
        return str(self.fields["target"])

    @property
    def rows(self) -> list[PartRow]:
        return [PartRow(row) for row in self.fields["rows"] if not row["reason"]]

    @property
    def scale(self) -> str:
        """Where the scale of its predictions was measured; nothing where it is the published one."""
        return str(self.fields.get("predicted_with", {}).get("measured", ""))

    @property
    def validity(self) -> str:
        """ "VALID", "INVALID: the reasons", or "" where nobody judged."""
        return in_words(self.fields.get("validity"))

    @property
    def failed(self) -> dict[tuple[str, str], str]:
        """Why rows have no parts, by artifact and runtime."""
        return {(row["artifact"], row["runtime"]): row["reason"] for row in self.fields["rows"] if row["reason"]}


def to_counted(
    splits: Sequence[Split],
    target: SimulatedTarget,
    wholes: Predicted = (),
    prefixes: Sequence[Predicted] = (),
    llvm: str = "",
    times: BoardTimes | None = None,
) -> dict[str, Any]:
    """What the file of a simulated board holds. `wholes`, `prefixes`: the predictions of each split, with that version of LLVM and those constants
    of the board, if there are any."""
    facts: dict[str, Any] = {"board": target.board.title, "core": target.board.core, "emulator": target.emulator(), "llvm": llvm}
    facts |= {"predicted_with": predicted_with(times)} if wholes and times else {}
    rows = []
    for index, split in enumerate(splits):
        costs = _counted_costs(split, wholes[index] if wholes else {}, prefixes[index] if prefixes else ()) if split.whole else {}
        rows.append({**_identity(split), **costs})
    return {**_head(target.name, COUNTED, 1), **facts, "rows": rows}


def to_measured(
    splits: Sequence[Split], target: str, threads: int, elsewhere: Mapping[str, Any] | None = None, *, reasons: Sequence[str] = ()
) -> dict[str, Any]:
    """What the file of a machine holds. `elsewhere`: {host, board, validity} of one that is not this one. `reasons`: what makes it INVALID."""
    facts = elsewhere or {"host": host_facts(), "validity": verdict_on(reasons)}
    rows = [{**_identity(split), **(_measured_costs(split) if split.times else {})} for split in splits]
    return {**_head(target, MEASURED, threads), **facts, "rows": rows}


def _head(target: str, how: str, threads: int) -> dict[str, Any]:
    utc = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    return {"schema": SCHEMA, "kind": KIND, "how": how, "target": target, "utc": utc, "threads": threads}


def _identity(split: Split) -> dict[str, Any]:
    artifact = split.network.artifact
    identity = {"artifact": artifact.path.name, "format": artifact.format, "sha256": artifact.sha256, "bytes": artifact.bytes}
    return {**identity, "runtime": split.runtime, **split.facts, "reason": split.reason}


def _counted_costs(split: Split, whole: Mapping[str, Prediction], prefixes: Predicted) -> dict[str, Any]:
    totals = {scope: _counted(split.whole.count(scope) if split.whole else 0.0, whole.get(scope)) for scope in ("invoke", "predict")}
    ran = [
        _counted(one.count("invoke"), said.get("invoke")) for one, said in zip(split.prefixes, prefixes or [{}] * len(split.prefixes), strict=True)
    ]
    differences = [_less(after, before) for before, after in zip(ran, ran[1:], strict=False)]
    others = {"call": ran[0], "rest": _less(totals["invoke"], ran[-1]), "python": _less(totals["predict"], totals["invoke"])}
    return {"parts": _parts(split.network.steps, differences), **others, **totals}


def _counted(instructions: float, said: Prediction | None) -> Cost:
    if said is None:
        return {"instructions": instructions}
    times = {"milliseconds": said.milliseconds, "low": said.low, "high": said.high}
    return {"instructions": instructions, "cycles": said.cycles, "predicted": times}


def _less(cost: Cost, other: Cost) -> Cost:
    """The difference. Both intervals are the same factors of their times, and so is that of the difference."""
    return {name: _less(value, other[name]) if isinstance(value, dict) else value - other[name] for name, value in cost.items()}


def _measured_costs(split: Split) -> dict[str, Any]:
    """Differences are taken within each round: what slowed a round down slowed all of it."""
    prefixes, invoke, predict = (split.times[name] / 1000 for name in ("prefixes", "invoke", "predict"))
    costs = [_measured(difference) for difference in np.diff(prefixes, axis=0)]
    alone = {"call": _measured(prefixes[0]), "python": _measured(predict - invoke), "invoke": _measured(invoke), "predict": _measured(predict)}
    explained = sum(cost["microseconds"] for cost in [*costs, alone["call"]])
    # A sum of medians is not the median of sums: the interval goes where the value is, so that what adds up lies in its own interval.
    left = _measured(invoke - prefixes[-1])
    shift = alone["invoke"]["microseconds"] - explained - left["microseconds"]
    rest = {name: value + shift for name, value in left.items()}
    return {"parts": _parts(split.network.steps, costs), "rest": rest, **alone}


def _measured(rounds: np.ndarray) -> Cost:
    """The median of rounds, microseconds, with its 99 % interval: from order statistics, whatever the distribution."""
    ordered, half = np.sort(rounds), _Z_99 * len(rounds) ** 0.5 / 2
    ends = np.clip(np.rint([(len(rounds) - 1) / 2 - half, (len(rounds) - 1) / 2 + half]).astype(int), 0, len(rounds) - 1)
    return {"microseconds": float(np.median(ordered)), "low": float(ordered[ends[0]]), "high": float(ordered[ends[1]])}


def _parts(steps: Sequence[Step], costs: Sequence[Cost]) -> list[dict[str, Any]]:
    return [
        {"operator": step.operator, "layers": list(step.layers), "dtype": step.dtype, "macs": step.macs, "cost": cost}
        for step, cost in zip(steps, costs, strict=True)
    ]


def read_parts(path: Path) -> PartResult:
    """Read one result file; InputError when it is damaged, foreign or from a newer edgeproof."""
    try:
        fields = json.loads(path.read_text())
        if not isinstance(fields, dict) or fields.get("kind") != KIND:
            raise InputError(f"{path} holds no costs of layers: give a file that `edgeproof bench --layers` wrote.")
        if fields.get("schema") != SCHEMA:
            raise InputError(f"{path} has schema {fields.get('schema')}, this edgeproof reads {SCHEMA}: upgrade it.")
        check_constants(fields)
        result = PartResult(fields)
        for row in result.rows:  # a reader must not find out in the middle of a table
            _check(row)
        return result
    except DAMAGE as error:
        raise InputError(f"Cannot read costs of layers {path} ({error}).") from None


def _check(row: PartRow) -> None:
    """Touches everything that a table shows of a row: whatever is damaged raises here."""
    _ = row.key, row.rest, row.costliest, row.fields["format"], row.fields["sha256"], row.fields["runtime_version"], row.fields["threads"]
    for part in row.fields["parts"]:
        _ = part["operator"], ", ".join(part["layers"]), (part["macs"] or 0) + 0
    for cost in (*(part["cost"] for part in row.fields["parts"]), *(row.fields[name] for name in ("call", "rest", "python", "invoke", "predict"))):
        _ = row.share(cost), (cost if "microseconds" in cost else cost.get("predicted", {"low": 0, "high": 0}))["low"] + 0
        _ = 0 if "microseconds" in cost else cost["instructions"] + 0
