"""What a session says of peers: ratios the right way round, on the same runtime, and words that do not say more than the numbers."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from benchmarks.latency import Contestant
from benchmarks.matrix import Artifact
from benchmarks.parity import FAIL, INCONCLUSIVE, PASS
from benchmarks.peers import OURS, PeerRow, in_words, timed
from benchmarks.reports.peers import PEER_COLUMNS, peer_cells
from benchmarks.results import LatencyResult, to_result
from evidence.peers import ratio_of_sessions

FACTS = {"runtime_version": "1", "kernels": "default", "delegate": "none"}


def _contestant(format: str, runtime: str, microseconds: float, peer: str | None = None, threads: int = 1) -> Contestant:
    """Twelve blocks of 60 runs, each block a little slower than the one before."""
    blocks = [[int(1000 * microseconds * (1 + 0.01 * block))] * 60 for block in range(12)]
    artifact = Artifact(Path(f"{peer or 'ours'}-{format}.tflite"), format, "qat", f"sha of {format}", (), 100, peer=peer)
    return Contestant(artifact, runtime, 0, FACTS, invoke_ns=blocks, predict_ns=blocks, threads=threads, peer=peer)


def _result(*contestants: Contestant) -> LatencyResult:
    return LatencyResult(to_result(contestants, "local", 1))


def test_a_peer_is_compared_with_ours_on_the_same_runtime() -> None:
    result = _result(
        _contestant("tflite-int8", "ai-edge-litert", 10),
        _contestant("tflite-int8", "tflite-runtime", 40),
        _contestant("tflite-int8", "tflite-runtime", 1, threads=2),
        _contestant("tflite-ptq", "tflite-runtime", 50, peer="tflite-ptq"),
    )
    facts = timed(result, "tflite-ptq", "tflite-runtime", "tflite-int8")
    assert facts["p50_us"] == pytest.approx(50 * 1.055, rel=0.01)
    assert facts["ratio"] == pytest.approx(0.8)
    assert facts["ratio_low"] <= facts["ratio"] <= facts["ratio_high"]
    assert (facts["ours"], facts["ours_runtime"]) == ("ours-tflite-int8.tflite", "tflite-runtime")


def test_on_a_runtime_of_peers_only_ours_is_the_copy_measured_there_or_else_the_one_elsewhere() -> None:
    elsewhere = _contestant("onnx-int8", "onnxruntime", 30)
    peer = _contestant("openvino-nncf", "openvino", 20, peer="openvino-nncf")
    facts = timed(_result(elsewhere, peer), "openvino-nncf", "openvino", "onnx-int8")
    assert (facts["ours_runtime"], facts["ratio"]) == ("onnxruntime", pytest.approx(1.5))
    facts = timed(_result(elsewhere, peer, _contestant("onnx-int8", "openvino", 10, peer=OURS)), "openvino-nncf", "openvino", "onnx-int8")
    assert (facts["ours_runtime"], facts["ratio"]) == ("openvino", pytest.approx(0.5))


def test_without_ours_there_is_no_ratio_and_without_samples_nothing() -> None:
    lonely = _result(_contestant("tflite-ptq", "ai-edge-litert", 10, peer="tflite-ptq"))
    assert set(timed(lonely, "tflite-ptq", "ai-edge-litert", "tflite-int8")) == {"p50_us"}
    assert timed(lonely, "tflite-ptq", "tflite-runtime", "tflite-int8") == {}


ROW = PeerRow("p", "Peer", "By hand.", "openvino", artifact="p.tflite", accuracy=0.99, verdict=PASS, ours_runtime="openvino", reason="")


@pytest.mark.parametrize(
    ("ratio", "words"),
    [
        ((1.00, 0.99, 1.01), "as fast, within 2 %"),
        ((1.019, 1.015, 1.03), "as fast, within 2 %"),
        ((1.05, 1.03, 1.07), "ours takes 5 % more time"),
        ((1.05, 0.97, 1.13), "no significant difference"),
        ((0.76, 0.74, 0.78), "ours takes 24 % less time"),
        ((0.25, 0.24, 0.26), "ours is 4.0 times as fast"),
    ],
)
def test_words_follow_the_interval(ratio: tuple[float, float, float], words: str) -> None:
    fields = dict(zip(("ratio", "ratio_low", "ratio_high"), ratio, strict=True))
    row = dataclasses.replace(ROW, **fields)
    assert in_words(row) == words
    assert in_words(dataclasses.replace(row, verdict=FAIL)) == f"{words}; it loses answers"
    assert in_words(dataclasses.replace(row, verdict=INCONCLUSIVE)) == f"{words}; its answers are not proven"
    assert in_words(vars(dataclasses.replace(row, ours_runtime="onnxruntime"))) == f"{words}, ours on onnxruntime"


def test_a_peer_that_failed_is_a_row_all_the_same() -> None:
    absent = PeerRow("p", "Peer", "By hand.", "openvino", reason="openvino not installed")
    cells = dict(zip(PEER_COLUMNS, peer_cells(vars(absent)), strict=True))
    assert (cells["in words"], cells["size"], cells["accuracy"], cells["ours / it"]) == ("not made", "", "", "")
    assert in_words(dataclasses.replace(absent, artifact="p.tflite")) == "does not run"
    assert in_words(ROW) == "nothing of ours was measured beside it"


def test_a_ratio_of_sessions_is_as_uncertain_as_they_differ() -> None:
    peer = [np.full(30, 100.0)] * 6
    steady = ratio_of_sessions([np.full(30, 101.0)] * 6, peer)
    assert steady == pytest.approx((1.01, 1.01, 1.01))
    ratio, low, high = ratio_of_sessions([np.full(30, 100.0 + offset) for offset in (-3, -1, 0, 2, 3, 5)], peer)
    assert ratio == pytest.approx(1.01)
    assert low < 1.0 < 1.02 < high, "though within each session every block says the same"
