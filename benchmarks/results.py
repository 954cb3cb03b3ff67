"""Latency results on disk: versioned JSON with every raw sample; statistics are computed when it is read.

schema 1   {schema, target, utc, host, threads, rows: [{artifact, format, sha256, bytes, runtime, runtime_version, kernels, threads,
           delegate, import_ms, load_ms, first_ms, peak_memory_bytes, reason, blocks, invoke_ns, predict_ns}]}
           Of a board also `board` (its facts, and readings before, during and after) and `validity` ({verdict, reasons}).
           `blocks` is the number of runs in each round; `invoke_ns` and `predict_ns` are all samples in order, as base64 of
           zlib-compressed little-endian int64 nanoseconds.
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
from benchmarks.statistics import ratio_interval
from edge_runtime.board import host_facts
from edge_runtime.errors import InputError
from edge_runtime.timing import MIN_SAMPLES_P99

SCHEMA = 1
SCOPES = ("predict", "invoke")


@dataclass(frozen=True)
class LatencyRow:
    """One artifact on one runtime: its facts and its samples."""

    fields: Mapping[str, Any]

    @property
    def key(self) -> tuple[str, str]:
        return self.fields["artifact"], self.fields["runtime"]

    @cached_property
    def samples(self) -> dict[str, np.ndarray]:
        """int64 nanoseconds by scope, in the order measured."""
        return {scope: _unpack(self.fields[f"{scope}_ns"]) for scope in SCOPES}

    def percentile_us(self, percent: float, scope: str = "predict") -> float | None:
        """Microseconds; None when there are too few samples to say."""
        samples = self.samples[scope]
        if len(samples) < (MIN_SAMPLES_P99 if percent > 90 else 1):
            return None
        return float(np.percentile(samples, percent)) / 1000

    def block_medians_us(self, scope: str = "predict") -> np.ndarray:
        """The median of each round's block, microseconds: one outlier in a block does not move it."""
        edges = np.cumsum(self.fields["blocks"])[:-1]
        return np.array([np.median(block) for block in np.split(self.samples[scope], edges)]) / 1000


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
    def validity(self) -> str:
        """ "VALID", "INVALID: the reasons", or "" where nobody judged: this machine's own times claim nothing of a board."""
        found = self.fields.get("validity")
        return ": ".join(filter(None, [found["verdict"], "; ".join(found["reasons"])])) if found else ""

    def find(self, artifact: str, runtime: str) -> LatencyRow | None:
        return next((row for row in self.rows if row.key == (artifact, runtime)), None)

    def ratio(self, row: LatencyRow, baseline_format: str, scope: str = "predict") -> tuple[float, float, float] | None:
        """(ratio, low, high) of the row to the baseline format on the same runtime, paired by rounds, 99 % bootstrap interval."""
        for other in self.rows:
            if other.fields["format"] == baseline_format and other.fields["runtime"] == row.fields["runtime"]:
                return ratio_interval(row.block_medians_us(scope), other.block_medians_us(scope))
        return None


def to_result(contestants: Sequence[Contestant], target: str, threads: int, elsewhere: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What `latency/<target>-<utc>.json` holds. elsewhere: {host, board, validity} of a machine that is not this one."""
    return {
        "schema": SCHEMA,
        "target": target,
        "utc": datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ"),
        "host": host_facts(),
        "threads": threads,
        **(elsewhere or {}),
        "rows": [_row(contestant) for contestant in contestants],
    }


def _row(contestant: Contestant) -> dict[str, Any]:
    artifact = contestant.artifact
    return {
        "artifact": artifact.path.name,
        "format": artifact.format,
        "sha256": artifact.sha256,
        "bytes": artifact.bytes,
        "runtime": contestant.runtime,
        **contestant.facts,
        **contestant.cold,
        "reason": contestant.reason,
        "blocks": [len(block) for block in contestant.predict_ns],
        "invoke_ns": _pack(contestant.invoke_ns),
        "predict_ns": _pack(contestant.predict_ns),
    }


def read_result(path: Path) -> LatencyResult:
    """Read one result file; InputError when it is damaged, foreign or from a newer edgeproof."""
    try:
        fields = json.loads(path.read_text())
        if not isinstance(fields, dict) or "rows" not in fields:
            raise InputError(f"{path} is not a latency result.")
        if fields.get("schema") != SCHEMA:
            raise InputError(f"{path} has schema {fields.get('schema')}, this edgeproof reads {SCHEMA}: upgrade it.")
        for row in fields["rows"]:
            _unpack(row["predict_ns"]), _unpack(row["invoke_ns"])  # a reader must not find out in the middle of a table
        return LatencyResult(fields)
    except (OSError, ValueError, KeyError, TypeError, zlib.error) as error:
        raise InputError(f"Cannot read latency result {path} ({error}).") from None


def _pack(blocks: Sequence[Sequence[int]]) -> str:
    samples = np.array([sample for block in blocks for sample in block], np.int64)
    return base64.b64encode(zlib.compress(samples.astype("<i8").tobytes())).decode()


def _unpack(text: str) -> np.ndarray:
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), "<i8")
