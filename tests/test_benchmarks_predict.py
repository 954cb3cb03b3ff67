"""Predicted times: always with an interval, called predicted, and decided only when the whole interval is on one side."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console

from benchmarks.boards import BOARDS
from benchmarks.caches import CACHES
from benchmarks.counts import KIND, SCHEMA, CountResult
from benchmarks.limits import Verdict, check_limit, judge, judge_all, worst
from benchmarks.predict import LLVM_CORES, TIMES, BoardTimes, Prediction, board_times, digits, faster, per_inference
from benchmarks.reports.predicted import predicted_table
from edge_runtime.errors import InputError


def _prediction(low: float, middle: float, high: float) -> Prediction:
    return Prediction(1e6, 5e5, middle, low, high)


@pytest.mark.parametrize(
    ("most", "verdict"), [(2.0, Verdict.PASS), (1.2, Verdict.PASS), (1.1, Verdict.INCONCLUSIVE), (0.8, Verdict.INCONCLUSIVE), (0.79, Verdict.FAIL)]
)
def test_a_limit_is_decided_when_the_whole_interval_is_on_one_side(most: float, verdict: Verdict) -> None:
    assert judge(_prediction(0.8, 1.0, 1.2), most) is verdict


@pytest.mark.parametrize("most", [0.0, -1.0, float("nan"), float("inf")])
def test_a_limit_that_is_none_is_refused(most: float) -> None:
    with pytest.raises(InputError, match="--max-ms is a number of milliseconds above 0"):
        check_limit(most)


def test_the_worst_row_is_the_verdict_and_a_failure_outweighs_doubt() -> None:
    assert [worst(some) for some in ([], [Verdict.PASS, Verdict.INCONCLUSIVE], list(Verdict))] == [Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.FAIL]
    times = {scope: {"instructions": 10, "cycles": 5, "milliseconds": 1.0, "low": 0.9, "high": 1.1} for scope in ("invoke", "predict")}
    limited = judge_all(_result(predicted=times), 1.0)
    assert limited.verdict is Verdict.INCONCLUSIVE
    assert limited.lines == ("INCONCLUSIVE: a.tflite on tflite-runtime: predicted 1.00 ms (0.900 to 1.10), at most 1 ms allowed",)
    with pytest.raises(InputError, match="No time was predicted on sim-pi4"):
        judge_all(_result(), 1.0)


def test_of_two_the_faster_is_named_only_where_intervals_are_apart() -> None:
    one, other, between = _prediction(0.8, 0.9, 1.0), _prediction(1.1, 1.2, 1.3), _prediction(0.95, 1.05, 1.15)
    assert (faster(one, other), faster(other, one), faster(one, between), faster(between, other)) == (True, False, None, None)


@pytest.mark.parametrize("board", sorted(BOARDS))
def test_each_board_has_constants_with_their_source_and_a_place_for_each_event(board: str) -> None:
    times = board_times(board)
    assert times.clock_mhz == BOARDS[board].clock_mhz
    assert times.low < 1 < times.high < 1.5
    assert times.weights["cycles"] > 0
    assert "ncnn" in times.source
    assert BOARDS[board].core in LLVM_CORES
    assert board in CACHES
    fields = json.loads(TIMES.read_text())["boards"][board]
    assert fields["covered"] >= 0.8 * fields["networks"]


def test_time_is_events_by_weight_over_the_clock_and_a_network_in_the_caches_pays_no_memory() -> None:
    times = BoardTimes("pi4", 1000, {"cycles": 1.5, "l2": 20.0}, 0.9, 1.1, "source")
    assert times.milliseconds({"cycles": 2e6, "l2": 0.0}) == pytest.approx(3.0)
    assert times.milliseconds({"cycles": 2e6, "l2": 1e5, "l1d": 1e9}) == pytest.approx(5.0)


def test_traffic_of_one_inference_is_never_below_none() -> None:
    assert per_inference({"l2": 40, "l1d": 3}, {"l2": 20, "l1d": 5}, 20) == {"l2": 1.0, "l1d": 0.0}


@pytest.mark.parametrize(("milliseconds", "text"), [(0.12345, "0.123"), (1.0, "1.00"), (12.345, "12.3"), (123.4, "123"), (1234.5, "1234")])
def test_three_digits(milliseconds: float, text: str) -> None:
    assert digits(milliseconds) == text


def _result(**more: Any) -> CountResult:
    row = {
        "artifact": "a.tflite", "format": "tflite-int8", "runtime": "tflite-runtime", "runtime_version": "2.14.0", "kernels": "default",
        "delegate": "XNNPACK", "reason": "", "instructions": {"empty": 0, "invoke": 10, "predict": 20}, **more,
    }  # fmt: skip
    return CountResult({"schema": SCHEMA, "kind": KIND, "target": "sim-pi4", "core": "cortex-a72", "board": "A board", "runs": 1, "rows": [row]})


def test_the_word_predicted_and_the_interval_stand_beside_every_time_and_nothing_measured_does() -> None:
    times = {"instructions": 10, "cycles": 5, "milliseconds": 1.0, "low": 0.9, "high": 1.1}
    result = _result(predicted={"invoke": times, "predict": {**times, "milliseconds": 2.0, "low": 1.8, "high": 2.2}})
    table = predicted_table(result)
    headers = [str(column.header) for column in table.columns]
    assert headers[3:] == ["invoke: predicted ms", "invoke: interval", "predict: predicted ms", "predict: interval"]
    text = io.StringIO()
    Console(file=text, width=200).print(table)
    assert "0.900 to 1.10" in text.getvalue()
    assert "1.80 to 2.20" in text.getvalue()
    assert "not measured" in text.getvalue()
    assert "µs" not in text.getvalue()
    assert str(result.rows[0].predicted("predict")) == "predicted 2.00 ms (1.80 to 2.20)"


def test_a_row_without_llvm_has_no_time() -> None:
    assert _result().rows[0].predicted("invoke") is None
    assert predicted_table(_result()).row_count == 0
