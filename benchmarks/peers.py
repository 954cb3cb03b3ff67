"""Edgeproof's files against what other tools make of the same baseline: one row a peer and runtime, as `peers/peers.json` holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.parity import Row
from benchmarks.results import LatencyResult, LatencyRow
from benchmarks.statistics import ratio_interval

SCHEMA = 1
OURS = "ours"  # what a latency row names as its peer where a file of ours runs on a runtime that only peers are made for
# One file beside a copy of itself in one process is up to 2 % off, by where its weights came to lie; the next session has it otherwise.
ALIKE = 0.02


@dataclass(frozen=True)
class PeerRow:
    """One peer on one runtime. None where it could not be made or run, or where nothing of ours was measured beside it; `reason` says why.

    ratio: time of ours / time of the peer, scope predict, medians of paired blocks, with its 99 % interval: below 1 ours is faster.
    """

    peer: str
    title: str
    how: str
    runtime: str
    artifact: str | None = None
    bytes: int | None = None
    sha256: str | None = None
    runtime_version: str | None = None
    accuracy: float | None = None
    drop_pp: float | None = None
    drop_lower_pp: float | None = None
    drop_upper_pp: float | None = None
    broken: int | None = None
    fixed: int | None = None
    verdict: str | None = None
    int8_macs_percent: float | None = None
    p50_us: float | None = None
    ours: str | None = None
    ours_sha256: str | None = None
    ours_runtime: str | None = None  # another one than `runtime` where ours does not run on that
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    reason: str = ""


def judged(row: Row) -> dict[str, Any]:
    """What parity says of a peer, as fields of its PeerRow."""
    names = ("runtime_version", "accuracy", "drop_pp", "drop_lower_pp", "drop_upper_pp", "broken", "fixed", "verdict")
    return {name: getattr(row, name) for name in names}


def timed(result: LatencyResult, peer: str, runtime: str, ours: str) -> dict[str, Any]:
    """What one session says of a peer on a runtime, as fields of its PeerRow. ours: the format that it stands in for.

    Compared on the same runtime where ours was measured there, else with ours wherever it ran.
    """
    mine = _find(result, runtime, peer=peer)
    if mine is None:
        return {}
    facts: dict[str, Any] = {"p50_us": mine.percentile_us(50)}
    other = _find(result, runtime, format=ours) or _find(result, runtime, peer=OURS, format=ours) or _find(result, None, format=ours)
    if other is None:
        return facts
    ratio, low, high = _ratio(other, mine)
    identity = {"ours": other.fields["artifact"], "ours_sha256": other.fields["sha256"], "ours_runtime": other.fields["runtime"]}
    return {**facts, **identity, "ratio": ratio, "ratio_low": low, "ratio_high": high}


def _find(result: LatencyResult, runtime: str | None, *, peer: str | None = None, format: str | None = None) -> LatencyRow | None:
    """The first row of that peer (None: of edgeproof) with the session's first number of threads."""
    threads = result.fields["threads"]
    for row in result.rows:
        same = (row.fields["peer"], row.threads) == (peer, threads) and runtime in (None, row.fields["runtime"])
        if same and format in (None, row.fields["format"]):
            return row
    return None


def _ratio(ours: LatencyRow, peer: LatencyRow) -> tuple[float, float, float]:
    top, bottom = ours.block_medians_us(), peer.block_medians_us()
    rounds = min(len(top), len(bottom))
    return ratio_interval(np.asarray(top[:rounds]), np.asarray(bottom[:rounds]))


def in_words(row: PeerRow | Mapping[str, Any]) -> str:
    """What the row comes to, for somebody who wonders whether edgeproof was worth it."""
    fields = row if isinstance(row, Mapping) else vars(row)
    if fields["artifact"] is None:
        return "not made"
    if fields["accuracy"] is None:
        return "does not run"
    if fields["ratio"] is None:
        return "nothing of ours was measured beside it"
    where = "" if fields["ours_runtime"] == fields["runtime"] else f", ours on {fields['ours_runtime']}"
    accuracy = "; it loses answers" if fields["verdict"] == "FAIL" else ""
    return f"{_speed(fields['ratio'], fields['ratio_low'], fields['ratio_high'])}{where}{accuracy}"


def _speed(ratio: float, low: float, high: float) -> str:
    if low <= 1 + ALIKE and high >= 1 - ALIKE:
        return "as fast, within 2 %" if abs(ratio - 1) <= ALIKE else "no significant difference"
    if ratio < 0.5:
        return f"ours is {1 / ratio:.1f} times as fast"
    return f"ours takes {abs(100 * (1 - ratio)):.0f} % {'less' if ratio < 1 else 'more'} time"
