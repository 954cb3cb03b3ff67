"""From events to time: what the fit finds, and what its interval promises."""

from __future__ import annotations

import numpy as np
import pytest

from evidence.weights import COVERAGE, Row, fit

CLOCK_MHZ = 1000  # a million cycles a millisecond


def _rows(count: int, noise: float, seed: int = 0) -> list[Row]:
    """Networks whose time is 1.5 times their cycles and 20 times their lines."""
    random = np.random.default_rng(seed)
    cycles, lines = random.uniform(1e6, 1e8, count), random.uniform(0, 1e6, count)
    times = (1.5 * cycles + 20 * lines) / 1e6 * np.exp(noise * random.standard_normal(count))
    return [Row(f"n{index}", {"cycles": cycles[index], "l2": lines[index], "none": 0.0}, times[index]) for index in range(count)]


def test_weights_that_made_the_times_are_found() -> None:
    found = fit(_rows(6, noise=0), ["cycles", "l2"], CLOCK_MHZ)
    assert found.weights == pytest.approx({"cycles": 1.5, "l2": 20})
    assert found.worst < 1e-6
    assert fit(_rows(6, noise=0), ["cycles"], CLOCK_MHZ).mean > 0.02


def test_each_network_is_predicted_without_itself() -> None:
    rows = _rows(8, noise=0)
    wrong = Row("wrong", rows[0].events, 3 * rows[0].published)
    found = fit([*rows, wrong], ["cycles", "l2"], CLOCK_MHZ)
    assert found.ratios[-1] == pytest.approx(1 / 3)
    low, high = found.interval()
    assert high == pytest.approx(1 / low)


def test_intervals_hold_for_networks_not_seen() -> None:
    inside = total = 0
    for seed in range(60):
        rows = _rows(33, noise=0.1, seed=seed)
        low, high = (found := fit(rows[:13], ["cycles", "l2"], CLOCK_MHZ)).interval()
        assert found.covered() >= COVERAGE * 13
        for row in rows[13:]:
            predicted = sum(weight * row.events[name] for name, weight in found.weights.items()) / 1e6
            inside += low * predicted <= row.published <= high * predicted
            total += 1
    assert inside / total >= COVERAGE
