"""Which file to ship: never one that did not pass wherever it was judged."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.reports.summary import Recommendation, SummaryRow, recommend


def row(artifact: str, runtime: str, verdict: str, *, size: int, gates: bool = True) -> SummaryRow:
    drop = (0.05, 0.12) if verdict in ("PASS", "INCONCLUSIVE") else (None, None)
    measured = {"p50_us": 20.0, "p99_us": 30.0, "ratio": 0.5, "ratio_low": 0.4, "ratio_high": 0.6}
    facts: dict[str, Any] = {
        "artifact": artifact,
        "format": artifact,
        "subject": artifact,
        "runtime": runtime,
        "kernels": "default",
        "target": "local",
    }
    facts |= {"bytes": size, "accuracy": 0.99}
    return SummaryRow(**facts, **measured, drop_pp=drop[0], drop_upper_pp=drop[1], gates=gates, verdict=verdict, reason="", delegate="XNNPACK")


def recommended(*rows: SummaryRow) -> Recommendation:
    manifest = {"artifacts": {entry.artifact: {"audit": {"int8_macs_share": 1.0}} for entry in rows}}
    return recommend(rows, manifest, 0.25)


def test_the_smallest_that_passed_is_recommended_with_its_worst_bound() -> None:
    found = recommended(row("big", "a", "PASS", size=90_000), row("small", "a", "PASS", size=20_000), row("small", "b", "PASS", size=20_000))
    assert found.artifact == "small"
    for part in ("20.0 KB", "at most 0.12 at 95 %", "100% of MACs int8", "a and b", "20 µs"):
        assert part in found.sentence


def test_a_stranger_whose_file_was_not_audited_is_recommended_like_any_other() -> None:
    found = recommend([row("small", "a", "PASS", size=20_000)], {"artifacts": {"small": {}}}, 0.25)
    assert found.artifact == "small"
    assert "MACs" not in found.sentence


@pytest.mark.parametrize("verdict", ["FAIL", "INCONCLUSIVE", "UNSUPPORTED"])
def test_one_gating_row_that_did_not_pass_rules_a_file_out(verdict: str) -> None:
    rows = (row("small", "a", "PASS", size=20_000), row("small", "b", verdict, size=20_000), row("big", "a", "PASS", size=90_000))
    assert recommended(*rows).artifact == "big"


def test_rows_that_do_not_gate_neither_help_nor_harm() -> None:
    missing = row("small", "b", "UNSUPPORTED", size=20_000, gates=False)
    assert recommended(row("small", "a", "PASS", size=20_000), missing).artifact == "small"
    assert recommended(missing).artifact is None


def test_when_nothing_passed_it_says_so() -> None:
    found = recommended(row("small", "a", "FAIL", size=20_000))
    assert found.artifact is None
    assert found.sentence.startswith("Ship none of them yet")
