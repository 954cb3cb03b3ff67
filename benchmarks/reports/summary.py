"""One line an artifact and runtime: what it costs and what it proves. The terminal, the README and the dashboard show these rows.

Other kernels than the default ones are judged too; they get a line here only where they stand in the way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.parity import FAIL, PASS, UNSUPPORTED
from benchmarks.reports.wording import points, subjects
from benchmarks.results import LatencyResult, LatencyRow


@dataclass(frozen=True)
class SummaryRow:
    """Facts of one artifact on one runtime. Latencies are of the `predict` scope, one thread unless said; None = not measured."""

    artifact: str
    format: str
    subject: str  # what tables call it: the format, or the file name where several have the same format
    runtime: str
    kernels: str
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
    rows, called = [], subjects(parity["rows"])
    for row in parity["rows"]:
        artifact = manifest["artifacts"].get(row["artifact"])
        if artifact is None or not _worth_a_line(row):
            continue
        latency, timed = newest_of(latencies, row)
        ratio = latency.ratio(timed, f"{artifact['format'].split('-')[0]}-float32") if latency and timed else None
        rows.append(
            SummaryRow(
                artifact=row["artifact"],
                format=row["format"],
                subject=called[row["artifact"]],
                runtime=row["runtime"],
                kernels=row["kernels"],
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


def _worth_a_line(row: Mapping[str, Any]) -> bool:
    return bool(row["kernels"] == "default" or (row["gates"] and row["verdict"] != PASS))


def newest_of(latencies: Sequence[LatencyResult], row: Mapping[str, Any]) -> tuple[LatencyResult | None, LatencyRow | None]:
    """The newest measurement, one thread, of the file that a row of `parity.json` judged there; only the default kernels are timed."""
    for latency in latencies:
        timed = latency.find(row["artifact"], row["runtime"]) if row["kernels"] == "default" and latency.target == row["target"] else None
        if timed is not None and timed.fields["sha256"] == row["sha256"]:
            return latency, timed
    return None, None


def other_rows(parity: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The rows of `parity.json` that the result table leaves out."""
    return [row for row in parity["rows"] if not _worth_a_line(row)]


def others_sentence(parity: Mapping[str, Any]) -> str | None:
    """What those rows say: "24 more rows (builtin and reference kernels): 12 PASS, 12 diagnostic". None when there are none."""
    rows = other_rows(parity)
    if not rows:
        return None
    passed = sum(row["gates"] for row in rows)  # one that gates and does not pass is in the table
    diagnostic = [row["verdict"] for row in rows if not row["gates"]]
    bad = ", ".join(f"{diagnostic.count(verdict)} {verdict}" for verdict in (FAIL, UNSUPPORTED) if verdict in diagnostic)
    said = [f"{passed} {PASS}"] if passed else []
    said += [f"{len(diagnostic)} diagnostic" + (f" ({bad})" if bad else "")] if diagnostic else []
    kernels = " and ".join(sorted({row["kernels"] for row in rows}))
    return f"{len(rows)} more {'row' if len(rows) == 1 else 'rows'} ({kernels} kernels): {', '.join(said)}"


def main_hops(parity: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The hops between the stages, and those to the rows of the result table."""
    return [hop for hop in parity["hops"] if hop["row"] is None or _worth_a_line(parity["rows"][hop["row"]])]


@dataclass(frozen=True)
class Recommendation:
    """Which file to ship, and the sentence that says why. `artifact` is None when nothing passed."""

    artifact: str | None
    sentence: str


SAME_SIZE = 1.05  # files whose sizes differ by less are as small as each other: then the drop decides


def passed(rows: Sequence[SummaryRow]) -> dict[str, list[SummaryRow]]:
    """The rows that count of each artifact all of whose rows that count are PASS: what does not pass is not a candidate, whatever it saves."""
    judged: dict[str, list[SummaryRow]] = {}
    for row in rows:
        if row.gates:
            judged.setdefault(row.artifact, []).append(row)
    return {artifact: ran for artifact, ran in judged.items() if all(row.verdict == PASS for row in ran)}


def worst_of(ran: Sequence[SummaryRow]) -> SummaryRow:
    """The row of one artifact that may drop the most."""
    return max(ran, key=lambda row: row.drop_upper_pp or 0.0)


def smallest(candidates: Mapping[str, Sequence[SummaryRow]]) -> str:
    """The artifact to prefer by size alone: of the smallest, and those as small within 5 %, the one that may drop the least."""
    size = {artifact: ran[0].bytes for artifact, ran in candidates.items()}
    near = [artifact for artifact in candidates if size[artifact] <= SAME_SIZE * min(size.values())]
    return min(near, key=lambda artifact: (round(worst_of(candidates[artifact]).drop_upper_pp or 0.0, 2), size[artifact]))


def recommend(rows: Sequence[SummaryRow], manifest: Mapping[str, Any], margin_pp: float) -> Recommendation:
    """The smallest artifact that passed on every runtime it ran on."""
    candidates = passed(rows)
    if not candidates:
        return Recommendation(
            None, f"Ship none of them yet: no artifact is proved to answer like the baseline, to {margin_pp:g} pp, on every runtime."
        )
    chosen = smallest(candidates)
    ran = candidates[chosen]
    worst = worst_of(ran)
    int8_share = (manifest["artifacts"][chosen].get("audit") or {}).get("int8_macs_share")
    parts = [f"{worst.bytes / 1000:.1f} KB", f"drop {points(worst.drop_pp or 0)} pp (at most {points(worst.drop_upper_pp or 0)} at 95 %)"]
    if int8_share:
        parts.append(f"{int8_share:.0%} of MACs int8")
    parts.append("loads on " + " and ".join(dict.fromkeys(row.runtime for row in ran)))
    fastest = min((row for row in ran if row.p50_us), key=lambda row: row.p50_us or 0.0, default=None)
    if fastest is not None:
        parts.append(f"{fastest.p50_us:.0f} µs an image on this machine with {fastest.runtime}")
    return Recommendation(chosen, f"Ship {chosen}: {', '.join(parts)}. {_because(chosen, candidates)}")


def _because(chosen: str, candidates: Mapping[str, Sequence[SummaryRow]]) -> str:
    if candidates[chosen][0].bytes == min(ran[0].bytes for ran in candidates.values()):
        return "It is the smallest file that passed on every runtime it was judged on."
    return f"Of the smallest files (within {100 * (SAME_SIZE - 1):.0f} %) that passed on every runtime they were judged on, it may drop the least."
