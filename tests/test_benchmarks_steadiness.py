"""When a session's own numbers make it INVALID."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.latency import Contestant
from benchmarks.matrix import Artifact
from benchmarks.results import LatencyResult, to_result
from benchmarks.statistics import differs, ratio_interval, ratio_of_ratios
from benchmarks.steadiness import against_itself, faults, paces, too_short
from benchmarks.validity import INVALID, VALID, LocalWatch

ROUNDS, RUNS = 40, 50


def _contestant(us: float = 100.0, pace: Any = 1.0, seed: int = 0, **changes: Any) -> Contestant:
    """Times around `us`, ±1 %, times the pace of each round."""
    noise = np.random.default_rng(seed).normal(1, 0.01, (ROUNDS, RUNS))
    blocks = (1000 * us * noise * np.broadcast_to(pace, ROUNDS)[:, np.newaxis]).astype(int).tolist()
    artifact = Artifact(Path("net-tflite-float32.tflite"), "tflite-float32", "folded", "ab", (), 1)
    facts = {"runtime_version": "1", "kernels": "default", "threads": 1, "delegate": "none"}
    made = Contestant(artifact, "tflite-runtime", 0, facts=facts, invoke_ns=blocks, predict_ns=blocks, span_ns=int(sum(map(sum, blocks)) * 1.1))
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def test_a_steady_session_is_valid_and_its_pair_is_one() -> None:
    session = [_contestant(twin=_contestant(seed=1)), _contestant(50, seed=2)]
    assert faults(session) == []
    pair = against_itself(session)
    assert pair is not None
    assert pair["low"] <= pair["ratio"] <= pair["high"]
    assert pair["ratio"] == pytest.approx(1, abs=0.005)
    result = LatencyResult(to_result(session, "local"))
    assert (result.validity, result.aa, len(result.rows)) == (VALID, pair, 2)


def test_one_artifact_that_differs_from_itself_spoils_the_session() -> None:
    session = [_contestant(twin=_contestant(103, seed=1))]
    (reason,) = faults(session)
    assert reason.startswith("net-tflite-float32.tflite on tflite-runtime against itself is 1.03")
    assert LatencyResult(to_result(session, "local")).validity.startswith(INVALID)
    assert faults([_contestant(twin=_contestant(101, seed=1))]) == [], "a percent is what two addresses in memory are worth"


def test_others_on_the_processor_spoil_the_session() -> None:
    (reason,) = faults([_contestant(), _contestant(interrupted=int(0.3 * ROUNDS * RUNS))])
    assert reason == "others took the processor in 30% of the runs of net-tflite-float32.tflite on tflite-runtime, 1 thread"
    assert faults([_contestant(interrupted=int(0.05 * ROUNDS * RUNS))]) == []
    assert faults([_contestant(interrupted=3 * ROUNDS * RUNS)])[0].startswith("others took the processor in every run of")


def test_more_threads_than_cores_spoil_no_session() -> None:
    restless = np.where(np.arange(ROUNDS) < ROUNDS // 2, 1.0, 1.5)
    crowd = _contestant(100, restless, interrupted=ROUNDS * RUNS, threads=4)
    assert faults([_contestant(), crowd], cores=2) == faults([crowd], cores=2) == []
    assert faults([crowd], cores=4)[0].endswith("on tflite-runtime, 4 threads")


def test_the_tail_of_a_row_that_others_interrupted_is_not_given() -> None:
    runs = ROUNDS * RUNS
    for interrupted, paced, told in ((0, None, True), (runs // 100, None, True), (runs // 50, None, False), (runs // 50, 10.0, True)):
        (row,) = LatencyResult(to_result([_contestant(interrupted=interrupted, rate_hz=paced, tick_ns=52)], "local")).rows
        assert (row.fields["interrupted"], row.fields["tick_ns"]) == (interrupted / runs, 52)
        assert (row.percentile_us(99) is not None, row.percentile_us(90) is not None) == (told, True)


def test_a_pace_that_moves_spoils_times_and_not_ratios() -> None:
    throttled = np.where(np.arange(ROUNDS) < ROUNDS // 2, 1.0, 1.2)
    session = [_contestant(100, throttled, twin=_contestant(100, throttled, seed=3)), _contestant(40, throttled, seed=1)]
    (reason,) = faults(session)
    assert reason.startswith("the machine's pace moved by ")
    assert 0.15 < paces(session).max() / paces(session).min() - 1 < 0.25
    ratio, low, high = ratio_interval(*(np.median(one.predict_ns, axis=1) for one in session))
    assert low <= 2.5 <= high
    assert ratio == pytest.approx(2.5, rel=0.01)
    assert faults([_contestant(100, np.where(np.arange(ROUNDS) % 8, 1.0, 2.0))]) == [], "a burst now and then moves no median"


def test_a_coarse_clock_spoils_the_session() -> None:
    (reason,) = faults([_contestant(10, tick_ns=150)])
    assert reason.startswith("the clock's step of 150 ns is more than 1% of the shortest median")
    assert faults([_contestant(10, tick_ns=52)]) == []


def test_a_paced_session_is_not_blamed_for_a_machine_that_rests() -> None:
    resting = _contestant(100, np.linspace(1, 2, ROUNDS), rate_hz=10.0)
    resting.interrupted = resting.samples
    assert faults([resting]) == []


def test_few_rounds_make_nothing_invalid() -> None:
    few = _contestant(twin=_contestant(150, seed=1))
    for one in (few, few.twin):
        assert one is not None
        one.predict_ns, one.invoke_ns = one.predict_ns[:10], one.invoke_ns[:10]
    assert faults([few]) == []
    recorded = against_itself([few])
    assert (recorded is not None, too_short(recorded)) == (True, True), "it is recorded all the same, and said to tell nothing"
    assert not too_short(None)


def test_what_differs_is_off_one_by_two_percent_with_one_outside() -> None:
    assert not differs(1.019, 1.018, 1.020)
    assert not differs(1.03, 0.99, 1.07)
    assert differs(1.03, 1.01, 1.05)
    assert differs(0.9, 0.8, 0.95)


def test_a_ratio_of_ratios_covers_what_it_should_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        now, then = rng.normal(0.5, 0.02, 60), rng.normal(0.4, 0.02, 60)
        ratio, low, high = ratio_of_ratios(now, then, resamples=400)
        assert low <= ratio <= high
        covered += low <= 1.25 <= high
    assert covered >= 290


def test_this_machines_sensors_are_read_once_a_second() -> None:
    watch = LocalWatch()
    watch.read()
    watch.read()
    assert len(watch.during) == 1
    watch.during = [{"clock_khz": khz, "cooling": 0} for khz in (3_000_000, 2_800_000)]
    assert watch.faults() == [], "a desktop's clock is never still"
    watch.during = [{"clock_khz": khz, "cooling": cooling} for khz, cooling in ((3_000_000, 0), (2_000_000, 1))]
    assert [fault.split(" between")[0].split(" for")[0] for fault in watch.faults()] == ["the kernel slowed the processor down", "the clock moved"]
