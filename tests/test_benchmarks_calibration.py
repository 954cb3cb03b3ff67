"""The scale of a board from what was timed there: recovered, its interval honest, its file refused when it cannot be used."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.boards import BOARDS, board_called
from benchmarks.calibration import ENOUGH, SCHEMA, Calibration, Timing, find_scale, read_calibrations, to_fields
from benchmarks.predict import BoardTimes, board_times
from edge_runtime.errors import InputError
from edgeproof.stages.board_scales import times_of
from edgeproof.stages.reaching import kinds_of_target

PUBLISHED = BoardTimes("pi4", 1000, {"cycles": 1.0}, 0.8, 1.25, "source")
WHERE = {"host": "ssh://pi", "utc": "20261122T101112Z"}


def _timings(*ratios: Sequence[float]) -> list[Timing]:
    """One artifact a sequence, one of its runtimes a ratio."""
    return [
        Timing(f"{name}.tflite", "tflite-int8", str(name), f"runtime {index}", "1", "invoke", 2.0 * ratio, 2.0, 1.6, 2.5)
        for name, some in enumerate(ratios)
        for index, ratio in enumerate(some)
    ]


def test_every_artifact_counts_alike_however_many_runtimes_it_ran_on() -> None:
    found = find_scale(_timings([1.0], [4.0, 4.0, 4.0]), PUBLISHED)
    assert found.scale == pytest.approx(2.0)
    assert found.errors == pytest.approx((3.0, -0.75, -0.75, -0.75)), "each predicted with the scale of the other alone"
    assert (found.mean_error, found.worst_error) == pytest.approx((1.3125, 3.0))
    assert found.spread == pytest.approx(math.sqrt(2) * math.log(2))


def test_few_artifacts_never_narrow_the_published_interval_and_many_may() -> None:
    exact = [[1.3]] * ENOUGH
    few, enough = (find_scale(_timings(*exact[:count]), PUBLISHED) for count in (ENOUGH - 1, ENOUGH))
    assert (few.low, few.high) == pytest.approx((0.8, 1.25))
    assert (enough.low, enough.high) == pytest.approx((1 / 1.02, 1.02)), "no narrower than what a clock may move unnoticed"
    wide = find_scale(_timings([0.5], [2.0]), PUBLISHED)
    assert wide.high > 10 * PUBLISHED.high, "two that disagree say little"


@pytest.mark.parametrize("count", [5, 8])
def test_the_interval_holds_one_more_artifact_as_often_as_it_says(count: int) -> None:
    rng = np.random.default_rng(0)
    logs = rng.normal(math.log(1.3), 0.1, (2000, count + 1))
    inside = 0
    for *some, another in np.exp(logs):
        found = find_scale(_timings(*([ratio] for ratio in some)), PUBLISHED)
        inside += found.low <= another / found.scale <= found.high
    assert 0.77 < inside / 2000 < 0.83


@pytest.mark.parametrize("count", [0, 1])
def test_one_artifact_has_no_spread(count: int) -> None:
    with pytest.raises(InputError, match="at least 2 artifacts"):
        find_scale(_timings(*[[1.3, 1.4]] * count), PUBLISHED)


@pytest.mark.parametrize("board", sorted(BOARDS))
def test_a_board_is_known_by_its_name_whatever_its_revision(board: str) -> None:
    name = BOARDS[board].title.partition(" Rev ")[0]
    for model in (name, f"{name} Rev 1.1", BOARDS[board].title):
        assert board_called(model) is BOARDS[board]
    assert board_called(f"{name} Deluxe") is None


def _fields(**more: Any) -> dict[str, Any]:
    timings = _timings([1.2], [1.4])
    return {**to_fields(find_scale(timings, board_times("pi4")), timings, board_times("pi4"), WHERE), **more}


def test_a_board_of_ones_own_has_its_scale_and_the_others_keep_theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "boards.json"
    monkeypatch.setenv("EDGEPROOF_BOARDS", str(file))
    with pytest.raises(InputError, match="EDGEPROOF_BOARDS names .*boards.json, which is not there"):
        times_of("pi4")
    file.write_text(json.dumps({"schema": SCHEMA, "boards": {"pi4": _fields()}}))
    own, events = times_of("pi4"), {"cycles": 1e6, "l1d": 1e3, "moved": 10.0}
    assert own.milliseconds(events) == pytest.approx(_fields()["scale"] * board_times("pi4").milliseconds(events))
    assert own.measured == "scale measured on ssh://pi, 2026-11-22, 2 artifacts, leave-one-out error 15.5%"
    assert times_of("pi5") == board_times("pi5")


def test_a_scale_of_other_constants_is_refused_with_the_remedy() -> None:
    times = board_times("pi4")
    with pytest.raises(InputError, match=r"another version .*`edgeproof calibrate-board ssh://pi` again, or .*--forget pi4"):
        Calibration("pi4", _fields()).apply(replace(times, weights={**times.weights, "cycles": 0.5}))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"schema": 2, "boards": {}}',
        '{"schema": 1, "boards": {"pi4": {}}}',
        json.dumps({"schema": 1, "boards": {"pi4": _fields(scale=-1)}}),
        json.dumps({"schema": 1, "boards": {"pi4": _fields(high=0.5)}}),
    ],
)
def test_a_damaged_file_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "boards.json").write_text(text)
    with pytest.raises(InputError, match=r"boards\.json"):
        read_calibrations(tmp_path / "boards.json")


def test_no_file_is_no_scale(tmp_path: Path) -> None:
    assert read_calibrations(tmp_path / "boards.json") == {}


def test_the_doctor_tells_a_scale_of_ones_own_and_one_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "boards.json"
    monkeypatch.setenv("EDGEPROOF_BOARDS", str(file))
    file.write_text(json.dumps({"schema": SCHEMA, "boards": {"pi4": _fields()}}))
    told = {finding.subject: finding.detail for finding in kinds_of_target()}
    if "needs" in told["sim-pi4"]:
        pytest.skip(told["sim-pi4"])
    assert "(scale measured on ssh://pi, 2026-11-22" in told["sim-pi4"]
    assert "scale" not in told["sim-pi5"]
    file.write_text("{}")
    assert "which fail: Cannot read the scales of boards" in {finding.subject: finding.detail for finding in kinds_of_target()}["sim-pi5"]
