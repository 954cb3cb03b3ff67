"""When times may be called a board's."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.results import LatencyResult, to_result
from benchmarks.targets import find_target
from benchmarks.validity import INVALID, VALID, Validity, Watch, judge

PI = {"model": "Raspberry Pi 4 Model B", "virtual": "", "governor": "performance", "clock_max_khz": 1_800_000}
IDLE = {"clock_khz": 600_000, "temperature_c": 40.0, "cooling": 0, "throttled": 0}
BUSY = {"clock_khz": 1_800_000, "temperature_c": 60.0, "cooling": 0}
BOOT = 16


def _judged(facts: dict[str, Any] = PI, before: dict[str, Any] = IDLE, during: Any = (BUSY, BUSY), after: dict[str, Any] = IDLE) -> Validity:
    return judge(facts, before, during, after)


def test_a_cool_board_is_valid_though_its_clock_rests_before_and_after() -> None:
    assert _judged() == Validity(VALID, ())
    assert _judged(during=[BUSY, {**BUSY, "clock_khz": 1_799_000}]).verdict == VALID, "rounded"


def test_a_board_that_tells_nothing_is_taken_as_it_is() -> None:
    silent = {"clock_khz": None, "temperature_c": None, "cooling": None, "throttled": None}
    assert _judged(before=silent, during=[silent], after=silent).verdict == VALID


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"facts": {**PI, "virtual": "its maker is QEMU"}}, "a virtual machine, not a board (its maker is QEMU)"),
        ({"before": {**IDLE, "throttled": 0b1}}, "under-voltage while it was timed"),
        ({"after": {**IDLE, "throttled": 0b110}}, "clock capped and throttled while it was timed"),
        ({"after": {**IDLE, "throttled": 0b1000 << BOOT}}, "soft temperature limit while it was timed"),
        ({"during": [BUSY, {**BUSY, "clock_khz": 1_500_000}]}, "the clock moved between 1500 and 1800 MHz"),
        (
            {"facts": {**PI, "governor": "ondemand"}, "during": [BUSY, {**BUSY, "clock_khz": 600_000}]},
            "the clock moved between 600 and 1800 MHz (governor ondemand: set performance)",
        ),
        ({"during": [BUSY, {**BUSY, "cooling": 2}]}, "the kernel slowed the processor down for heat"),
    ],
)
def test_what_makes_times_invalid(changes: dict[str, Any], reason: str) -> None:
    assert _judged(**changes) == Validity(INVALID, (reason,))


def test_what_was_so_before_it_was_timed_is_past() -> None:
    former = 0b101 << BOOT
    assert _judged(before={**IDLE, "throttled": former}, after={**IDLE, "throttled": former}).verdict == VALID


def test_a_watch_reads_before_during_and_after_and_the_result_says_so() -> None:
    with Watch(find_target("local").start({"job": "board"}, "onnxruntime")) as watch:
        watch.read()
        watch.read()  # within the same second
    assert len(watch.during) == 1
    result = LatencyResult(to_result([], "ssh://pi", 1, watch.fields))
    assert result.fields["board"].keys() == {"model", "virtual", "governor", "clock_max_khz", "before", "during", "after"}
    verdict = result.fields["validity"]["verdict"]
    assert (verdict == INVALID) == bool(result.fields["validity"]["reasons"])
    assert result.validity.startswith(verdict)
    assert LatencyResult(to_result([], "local", 1)).validity == VALID
