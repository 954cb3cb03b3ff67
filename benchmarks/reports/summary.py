"""One line an artifact and runtime: what it costs and what it proves. The terminal, the README and the dashboard show these rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.parity import PASS
from benchmarks.results import LatencyResult, LatencyRow


@dataclass(frozen=True)
class SummaryRow:
    """Facts of one artifact on one runtime. Latencies are of the `predict` scope, one thread unless said; None = not measured."""

    artifact: str
    format: str
    runtime: str
    target: str
    bytes: int
    accuracy: float | None
    drop_pp: float | None
    drop_upper_pp: float | None
    gates: bool
    verdict: str
    reason: str
    p50_us: float | None
    p99_us: float | None
    ratio: float | None  # to the float32 format on the same runtime
    ratio_low: float | None
    ratio_high: float | None
    delegate: str


def summarize(parity: Mapping[str, Any], manifest: Mapping[str, Any], latencies: Sequence[LatencyResult]) -> list[SummaryRow]:
    """Join `parity.json`, the manifest and the newest latency result (they come newest first) that timed this very file on this runtime."""
    rows = []
    for row in parity["rows"]:
        artifact = manifest["artifacts"].get(row["artifact"])
        if artifact is None or (row["kernels"] != "default" and row["verdict"] == PASS):
            continue  # other kernels are worth a line when they do not pass
        latency, timed = _newest(latencies, row["artifact"], row["runtime"], row["sha256"])
        ratio = latency.ratio(timed, f"{artifact['format'].split('-')[0]}-float32") if latency and timed else None
        rows.append(
            SummaryRow(
                artifact=row["artifact"],
                format=row["format"],
                runtime=row["runtime"],
                target=row["target"],
                bytes=artifact["bytes"],
                accuracy=row["accuracy"],
                drop_pp=row["drop_pp"],
                drop_upper_pp=row["drop_upper_pp"],
                gates=row["gates"],
                verdict=row["verdict"],
                reason=row["reason"],
                p50_us=timed.percentile_us(50) if timed else None,
                p99_us=timed.percentile_us(99) if timed else None,
                ratio=ratio[0] if ratio else None,
                ratio_low=ratio[1] if ratio else None,
                ratio_high=ratio[2] if ratio else None,
                delegate=timed.fields["delegate"] if timed else "",
            )
        )
    return rows


def _newest(latencies: Sequence[LatencyResult], artifact: str, runtime: str, sha256: str) -> tuple[LatencyResult | None, LatencyRow | None]:
    for latency in latencies:
        timed = latency.find(artifact, runtime)
        if timed is not None and timed.fields["sha256"] == sha256:
            return latency, timed
    return None, None


@dataclass(frozen=True)
class Recommendation:
    """Which file to ship, and the sentence that says why. `artifact` is None when nothing passed."""

    artifact: str | None
    sentence: str


def recommend(rows: Sequence[SummaryRow], manifest: Mapping[str, Any], margin_pp: float) -> Recommendation:
    """The smallest artifact that passed on every runtime it ran on: what does not pass is not a candidate, whatever it saves."""
    by_artifact: dict[str, list[SummaryRow]] = {}
    for row in rows:
        by_artifact.setdefault(row.artifact, []).append(row)
    judged = {name: [row for row in ran if row.gates] for name, ran in by_artifact.items()}
    candidates = [ran for ran in judged.values() if ran and all(row.verdict == PASS for row in ran)]
    if not candidates:
        return Recommendation(None, f"Ship none of them yet: no artifact is proved to drop by at most {margin_pp:g} pp on every runtime.")
    ran = min(candidates, key=lambda ran: ran[0].bytes)
    worst = max(ran, key=lambda row: row.drop_upper_pp or 0.0)
    audit = manifest["artifacts"][worst.artifact]["audit"]
    parts = [f"{worst.bytes / 1000:.1f} KB", f"drop {worst.drop_pp:.2f} pp (at most {worst.drop_upper_pp:.2f} at 95 %)"]
    if audit["int8_macs_share"]:
        parts.append(f"{audit['int8_macs_share']:.0%} of MACs int8")
    parts.append("loads on " + " and ".join(row.runtime for row in ran))
    fastest = min((row for row in ran if row.p50_us), key=lambda row: row.p50_us or 0.0, default=None)
    if fastest is not None:
        parts.append(f"{fastest.p50_us:.0f} µs an image on this machine with {fastest.runtime}")
    return Recommendation(
        worst.artifact, f"Ship {worst.artifact}: {', '.join(parts)}. It is the smallest file that passed on every runtime it was judged on."
    )
