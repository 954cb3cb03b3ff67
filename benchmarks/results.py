"""Latency results on disk: versioned JSON with every raw sample; statistics are computed when it is read.

schema 2   {schema, target, utc, host, threads, validity, aa, reference_rows, rows: [{artifact, format, sha256, bytes, peer, runtime,
           runtime_version, kernels, threads, delegate, rate_hz, achieved_hz, missed, interrupted, tick_ns, import_ms, load_ms, first_ms,
           peak_memory_bytes, cold_runs, reason, blocks, invoke_ns, predict_ns, pipeline_blocks, pipeline_ns}]}
           `validity` is {verdict: "VALID" | "INVALID", reasons: [text]}, always there; of a board also `board` (its facts, and readings before,
           during and after). `aa` is what one artifact told against itself, {artifact, runtime, threads, rounds, ratio, low, high}, or null.
           `threads` at the top is the least of the rows' numbers. `peer`: null, or the name of another tool that made the file. `rate_hz`: null,
           or the rate of a paced session; then `achieved_hz` and `missed` (runs not done when the next was due) say how it was kept.
           `interrupted` is the share of the runs in which others took the processor, `tick_ns` the step of the clock; null in older results.
           `import_ms`, `load_ms`, `first_ms` and `peak_memory_bytes` are medians of `cold_runs` fresh processes.
           `blocks` is the number of runs in each round; `invoke_ns` and `predict_ns` are all samples in order, as base64 of zlib-compressed
           little-endian int64 nanoseconds. `pipeline_ns` likewise, by `pipeline_blocks`; null where nothing decodes pictures.
           `reference_rows`: as `rows`, of the files that were measured in the same session to be compared with; none without --compare.
           A row that could not run has `reason`, no samples, and lacks what only running tells.
schema 1   the same without validity (but of a board), aa, reference_rows, peer, rate_hz, achieved_hz, missed, interrupted, tick_ns,
           cold_runs, pipeline_blocks and pipeline_ns. Read as schema 2 with nulls.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.latency import Contestant
from benchmarks.reading import DAMAGE, check_fields, count, each, number, or_null, some_fields, text, utc
from benchmarks.statistics import ratio_interval
from benchmarks.steadiness import against_itself, faults
from benchmarks.validity import INVALID, VALID, in_words
from edge_runtime.bench import FLOORS
from edge_runtime.board import host_facts
from edge_runtime.errors import InputError, first_line

SCHEMA = 2
SCOPES = ("predict", "invoke", "pipeline")
BLOCKS = {"predict": "blocks", "invoke": "blocks", "pipeline": "pipeline_blocks"}
MOST_INTERRUPTED_P99 = 0.01  # of the runs: the slowest one in a hundred are then those that others interrupted
_SINCE_2: dict[str, Any] = {
    "peer": None,
    "rate_hz": None,
    "achieved_hz": None,
    "missed": None,
    "interrupted": None,
    "tick_ns": None,
    "cold_runs": 1,
    "pipeline_blocks": [],
    "pipeline_ns": None,
}


# What fields can hold; what only running tells is checked of rows that ran.
_RIGHT = {
    **{"target": text, "utc": utc, "threads": count, "host": some_fields({"cpu": text, "cores": count})},
    "board": or_null(lambda value: isinstance(value, dict)),
    "aa": or_null(some_fields({"artifact": text, "runtime": text, "rounds": count, "ratio": number, "low": number, "high": number})),
    "validity": or_null(some_fields({"verdict": text, "reasons": each(text)})),
}
_RIGHT_ROW = {**dict.fromkeys(("artifact", "format", "sha256", "runtime", "reason"), text), "bytes": count, "peer": or_null(text)}
_RIGHT_RAN = {
    **dict.fromkeys(("runtime_version", "kernels", "delegate"), text),
    **dict.fromkeys(("load_ms", "first_ms", "peak_memory_bytes"), number),
    **{"interrupted": or_null(number), "tick_ns": or_null(count)},
    **{"threads": count, "rate_hz": or_null(number), "blocks": each(count), "pipeline_blocks": each(count)},
}


@dataclass(frozen=True)
class LatencyRow:
    """One artifact on one runtime: its facts and its samples."""

    fields: Mapping[str, Any]

    @property
    def key(self) -> tuple[str, str]:
        return self.fields["artifact"], self.fields["runtime"]

    @cached_property
    def samples(self) -> dict[str, np.ndarray]:
        """int64 nanoseconds by scope, in the order measured. Empty where a scope was not measured."""
        return {scope: _unpack(self.fields[f"{scope}_ns"]) for scope in SCOPES}

    @property
    def threads(self) -> int:
        return int(self.fields["threads"])

    @property
    def rate_hz(self) -> float | None:
        """The rate of a paced session; None where one run followed the other."""
        rate = self.fields["rate_hz"]
        return None if rate is None else float(rate)

    @property
    def crowded(self) -> bool:
        """Whether its slowest runs tell of other processes, and not of the runtime. Not known of paced ones: they are asleep most of the time."""
        return self.rate_hz is None and (self.fields.get("interrupted") or 0) > MOST_INTERRUPTED_P99

    def percentile_us(self, percent: float, scope: str = "predict") -> float | None:
        """Microseconds; None when there are too few samples to say, or others took the processor in as many runs as it is about."""
        samples = self.samples[scope]
        name = "p50" if percent <= 50 else "p90" if percent <= 90 else "p99"
        if len(samples) < FLOORS[name] or (name == "p99" and self.crowded):
            return None
        return float(np.percentile(samples, percent)) / 1000

    def block_medians_us(self, scope: str = "predict") -> np.ndarray:
        """The median of each round's block, microseconds: one outlier in a block does not move it."""
        return np.array([np.median(block) for block in self.blocks(scope)]) / 1000

    def blocks(self, scope: str) -> list[np.ndarray]:
        """The samples of each round, nanoseconds."""
        return np.split(self.samples[scope], np.cumsum(self.fields[BLOCKS[scope]])[:-1])


@dataclass(frozen=True)
class LatencyResult:
    """One measuring session."""

    fields: Mapping[str, Any]

    @property
    def target(self) -> str:
        return str(self.fields["target"])

    @property
    def rows(self) -> list[LatencyRow]:
        return [LatencyRow(row) for row in self.fields["rows"] if not row["reason"]]

    @property
    def reference_rows(self) -> list[LatencyRow]:
        """What was measured in the same session to be compared with, and is no part of the workspace."""
        return [LatencyRow(row) for row in self.fields["reference_rows"] if not row["reason"]]

    @property
    def validity(self) -> str:
        """ "VALID", "INVALID: the reasons", or "" where nobody judged (schema 1, on this machine)."""
        return in_words(self.fields.get("validity"))

    @property
    def aa(self) -> Mapping[str, Any] | None:
        """What one artifact told against itself: {artifact, runtime, threads, rounds, ratio, low, high}."""
        found: Mapping[str, Any] | None = self.fields["aa"]
        return found

    def find(self, artifact: str, runtime: str, threads: int = 1, rate_hz: float | None = None) -> LatencyRow | None:
        wanted = (artifact, runtime, threads, rate_hz)
        return next((row for row in self.rows if (*row.key, row.threads, row.rate_hz) == wanted), None)

    def ratio(self, row: LatencyRow, baseline_format: str, scope: str = "predict") -> tuple[float, float, float] | None:
        """(ratio, low, high) of the row to the baseline format on the same runtime, with as many threads at the same rate.

        Paired by rounds, 99 % bootstrap interval.
        """
        for other in self.rows:
            if (other.fields["format"], *_conditions(other)) == (baseline_format, *_conditions(row)):
                return ratio_interval(row.block_medians_us(scope), other.block_medians_us(scope))
        return None


def _conditions(row: LatencyRow) -> tuple[Any, ...]:
    return row.fields["runtime"], row.threads, row.rate_hz


def to_result(
    contestants: Sequence[Contestant],
    target: str,
    threads: int = 1,
    elsewhere: Mapping[str, Any] | None = None,
    *,
    earlier: Sequence[Contestant] = (),
    reasons: Sequence[str] = (),
) -> dict[str, Any]:
    """What `latency/<target>-<utc>.json` holds. threads: the least number. elsewhere: {host, board, validity} of a machine that is not this one.
    earlier: what was measured beside, to compare with. reasons: what makes it INVALID beside what the samples say themselves."""
    everyone = [*contestants, *earlier]
    where = {"host": host_facts(), **(elsewhere or {})}
    found = [*(where.get("validity") or {"reasons": []})["reasons"], *reasons, *faults(everyone, where["host"]["cores"])]
    return {
        "schema": SCHEMA,
        "target": target,
        "utc": datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ"),
        "threads": threads,
        **where,
        "validity": {"verdict": INVALID if found else VALID, "reasons": found},
        "aa": against_itself(everyone),
        "rows": [_row(contestant) for contestant in contestants],
        "reference_rows": [_row(contestant) for contestant in earlier],
    }


def _row(contestant: Contestant) -> dict[str, Any]:
    artifact = contestant.artifact
    return {
        **_SINCE_2,
        "artifact": artifact.path.name,
        "format": artifact.format,
        "sha256": artifact.sha256,
        "bytes": artifact.bytes,
        "peer": contestant.peer,
        "runtime": contestant.runtime,
        "threads": contestant.threads,
        "rate_hz": contestant.rate_hz,
        "achieved_hz": 1e9 * contestant.samples / contestant.span_ns if contestant.rate_hz and contestant.span_ns else None,
        "missed": contestant.missed if contestant.rate_hz else None,
        "interrupted": contestant.interrupted_share if contestant.samples else None,
        "tick_ns": contestant.tick_ns if contestant.samples else None,
        **contestant.facts,
        **contestant.cold,
        "reason": contestant.reason,
        "blocks": [len(block) for block in contestant.predict_ns],
        "invoke_ns": pack(contestant.invoke_ns),
        "predict_ns": pack(contestant.predict_ns),
        "pipeline_blocks": [len(block) for block in contestant.pipeline_ns],
        "pipeline_ns": pack(contestant.pipeline_ns) if contestant.pipeline_ns else None,
    }


def read_result(path: Path) -> LatencyResult:
    """Read one result file; InputError when it is damaged, foreign or from a newer edgeproof."""
    try:
        fields = json.loads(path.read_text())
        if not isinstance(fields, dict) or "rows" not in fields:
            raise InputError(f"{path} is not a latency result.")
        schema = fields.get("schema")
        if type(schema) is not int or not 1 <= schema <= SCHEMA:
            raise InputError(f"{path} has schema {schema}, this edgeproof reads up to {SCHEMA}: upgrade it.")
        lists = {name: [{**_SINCE_2, **row} for row in fields.get(name, ())] for name in ("rows", "reference_rows")}
        fields = {"aa": None, "validity": None, "board": None, **fields, **lists}
        check_fields(fields, _RIGHT)
        for row in (*fields["rows"], *fields["reference_rows"]):
            check_fields(row, _RIGHT_ROW)
        result = LatencyResult(fields)
        for ran in (*result.rows, *result.reference_rows):
            _check(ran)
        _check_rounds([*result.rows, *result.reference_rows])
        return result
    except DAMAGE as error:
        raise InputError(f"Cannot read latency result {path} ({first_line(error)}).") from None


def _check(row: LatencyRow) -> None:
    """What reading raises, for a row that lacks what a table shows."""
    check_fields(row.fields, _RIGHT_RAN)
    if row.rate_hz:
        check_fields(row.fields, {"achieved_hz": number, "missed": count})
    for scope, blocks in BLOCKS.items():
        samples, runs = row.samples[scope], row.fields[blocks]
        if sum(runs) != len(samples) or not all(runs) or (samples < 1).any():
            raise ValueError(f"{scope}_ns has {len(samples)} samples, its blocks have {sum(runs)}")


def _check_rounds(rows: Sequence[LatencyRow]) -> None:
    """ValueError for rows that were not measured in the same rounds: nothing pairs them. Not all have a pipeline."""
    for blocks in dict.fromkeys(BLOCKS.values()):
        rounds = {len(row.fields[blocks]) for row in rows if row.fields[blocks]}
        if len(rounds) > 1:
            raise ValueError(f"its rows have unlike numbers of rounds: {blocks} {', '.join(map(str, sorted(rounds)))}")


def pack(blocks: Sequence[Sequence[int] | np.ndarray]) -> str:
    """Samples as a result file keeps them."""
    samples = np.array([sample for block in blocks for sample in block], np.int64)
    return base64.b64encode(zlib.compress(samples.astype("<i8").tobytes())).decode()


def _unpack(samples: str | None) -> np.ndarray:
    return np.frombuffer(zlib.decompress(base64.b64decode(samples or pack(()))), "<i8")
