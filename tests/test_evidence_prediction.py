"""The proof of predicted times: what it says of the constants that are there, and of an order that is only partly known."""

from __future__ import annotations

from benchmarks.boards import BOARDS
from benchmarks.predict import Prediction
from evidence.prediction import ordered, published


def _time(milliseconds: float, factor: float) -> Prediction:
    return Prediction(1e6, 1e6, milliseconds, milliseconds / factor, milliseconds * factor)


def test_every_board_meets_what_is_claimed_of_it() -> None:
    findings = published("command")
    assert len(findings) == len(BOARDS)
    assert [finding.met for finding in findings] == [True] * len(BOARDS), [finding.figure for finding in findings]


def test_neighbours_whose_intervals_overlap_are_not_put_in_order() -> None:
    finding = ordered("sim-pi4", ["slow", "fast", "also fast"], [_time(10, 1.2), _time(1.0, 1.2), _time(1.1, 1.2)], "command")
    assert finding.met
    order = "fast 1.00 ms (0.833 to 1.20) ? also fast 1.10 ms (0.917 to 1.32) < slow 10.0 ms (8.33 to 12.0)"
    assert finding.figure == f"2 of 3 pairs decided: {order}"
