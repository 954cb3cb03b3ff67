"""From events to time: what the fit finds, and what its interval promises."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from evidence.weights import COVERAGE, Fit, Row, Way, interval_factor, nested_errors
from evidence.weights import fit as fit_together

CLOCK_MHZ = 1000  # a million cycles a millisecond


def _way(rows: Sequence[Row], events: Sequence[str]) -> Way:
    return Way({"board": rows}, {"board": CLOCK_MHZ}, events)


def fit(rows: Sequence[Row], events: Sequence[str]) -> Fit:
    return fit_together(_way(rows, events))["board"]


def _rows(count: int, noise: float, seed: int = 0) -> list[Row]:
    """Networks whose time is 1.5 times their cycles and 20 times their lines."""
    random = np.random.default_rng(seed)
    cycles, lines = random.uniform(1e6, 1e8, count), random.uniform(0, 1e6, count)
    times = (1.5 * cycles + 20 * lines) / 1e6 * np.exp(noise * random.standard_normal(count))
    return [Row(f"n{index}", {"cycles": cycles[index], "l2": lines[index], "none": 0.0}, times[index]) for index in range(count)]


def test_weights_that_made_the_times_are_found() -> None:
    found = fit(_rows(6, noise=0), ["cycles", "l2"])
    assert found.weights == pytest.approx({"cycles": 1.5, "l2": 20})
    assert found.worst < 1e-6
    assert fit(_rows(6, noise=0), ["cycles"]).mean > 0.02


def test_each_network_is_predicted_without_itself() -> None:
    rows = _rows(8, noise=0)
    wrong = Row("wrong", rows[0].events, 3 * rows[0].published)
    found = fit([*rows, wrong], ["cycles", "l2"])
    assert found.ratios[-1] == pytest.approx(1 / 3)
    assert found.covered(2.9) == 8
    assert found.covered(3.1) == 9


def test_kernels_not_seen_are_predicted_from_those_that_were() -> None:
    """Networks of another kind take twice as long for the same events: leaving out one of them does not show it, leaving out all does."""
    rows = _rows(12, noise=0)
    others = [Row(f"other{index}", row.events, 2 * row.published, "other") for index, row in enumerate(rows[:3])]
    found = fit([*rows, *others], ["cycles", "l2"])
    assert found.unseen[-3:] == pytest.approx([0.5] * 3)
    assert found.unseen[:12] == found.ratios[:12], "three are too few to weigh by"
    assert interval_factor(found.sizes) == pytest.approx(2.0, rel=0.05)


def test_choosing_among_ways_is_judged_without_the_network_it_is_judged_on() -> None:
    rows = _rows(9, noise=0)
    good, bad = (rows, ["cycles", "l2"]), (rows, ["none", "l2"])
    assert np.abs(nested_errors([_way(*bad), _way(*good)])["board"]).max() < 1e-6
    assert nested_errors([_way(*bad)])["board"] == pytest.approx(fit(*bad).errors)


def test_intervals_hold_for_networks_not_seen() -> None:
    inside = total = 0
    for seed in range(60):
        rows = _rows(33, noise=0.1, seed=seed)
        found = fit(rows[:13], ["cycles", "l2"])
        factor = interval_factor(found.sizes)
        assert found.covered(factor) >= COVERAGE * 13
        for row in rows[13:]:
            predicted = sum(weight * row.events[name] for name, weight in found.weights.items()) / 1e6
            inside += predicted / factor <= row.published <= predicted * factor
            total += 1
    assert inside / total >= COVERAGE


def test_boards_of_one_core_share_what_the_core_does_and_leave_a_network_out_together() -> None:
    """The other board has half the clock and memory that is twice as slow in its cycles."""
    rows = _rows(6, noise=0)
    slower = [Row(row.network, row.events, (1.5 * row.events["cycles"] + 40 * row.events["l2"]) / (1e3 * CLOCK_MHZ / 2)) for row in rows]
    clocks = {"fast": CLOCK_MHZ, "slow": CLOCK_MHZ // 2}
    way = Way({"fast": rows, "slow": slower[:-1]}, clocks, ["cycles", "l2"], ["cycles"])
    found = fit_together(way)
    assert found["fast"].weights == pytest.approx({"cycles": 1.5, "l2": 20})
    assert found["slow"].weights == pytest.approx({"cycles": 1.5, "l2": 40})
    assert (len(found["fast"].ratios), len(found["slow"].ratios)) == (6, 5)
    wrong = [*rows[:-1], Row(rows[-1].network, rows[-1].events, 3 * rows[-1].published)]
    spoilt = fit_together(Way({"fast": wrong, "slow": slower}, clocks, ["cycles", "l2"], ["cycles"]))
    assert spoilt["slow"].ratios[-1] == pytest.approx(1.0), "predicted without the network, on the other board, too"
