"""Against published numbers, by property, and by simulation."""

from __future__ import annotations

from functools import cache
from math import comb

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from benchmarks.statistics import (
    Z_ONE_SIDED_95,
    images_to_certify,
    images_to_decide,
    mcnemar_p,
    ratio_interval,
    smallest_certifiable_drop,
    tango_interval,
    tango_score,
    wilson_interval,
)

Z_TWO_SIDED_95 = 1.959963984540054


@st.composite
def counts(draw: st.DrawFn) -> tuple[int, int, int]:
    """(broken, fixed, n), from a handful of images to many more than anybody has."""
    n = draw(st.one_of(st.integers(1, 60), st.integers(1, 100_000)))
    broken = draw(st.one_of(st.integers(0, min(n, 20)), st.integers(0, n)))
    return broken, draw(st.one_of(st.integers(0, min(n - broken, 20)), st.integers(0, n - broken))), n


def test_tango_gives_the_published_interval_of_r_package_propcis() -> None:
    # scoreci.mp(b=25, c=28, n=618, conf.level=0.90); its estimate is (c - b)/n.
    assert tango_interval(28, 25, 618) == pytest.approx((-0.0148, 0.0247), abs=5e-5)


def test_tango_gives_the_published_interval_of_the_airway_example() -> None:
    # Fagerland, Lydersen, Laake (2014), Statistics in Medicine 33, 2850-2875: n = 21, b = 1, c = 7.
    assert tango_interval(1, 7, 21, Z_TWO_SIDED_95) == pytest.approx((-0.517, -0.026), abs=5e-4)


def test_tango_gives_the_bounds_of_the_design_example() -> None:
    lower, upper = tango_interval(8, 2, 8400)
    assert (100 * lower, 100 * upper) == pytest.approx((0.0111, 0.1478), abs=5e-5)


@pytest.mark.parametrize(("n", "upper_pp"), [(500, 0.538), (1000, 0.270), (1080, 0.250), (8400, 0.0322)])
def test_without_any_flip_the_upper_bound_depends_on_the_images_alone(n: int, upper_pp: float) -> None:
    assert 100 * tango_interval(0, 0, n)[1] == pytest.approx(upper_pp, abs=5e-4)
    assert smallest_certifiable_drop(n) == pytest.approx(tango_interval(0, 0, n)[1], abs=1e-9)


def test_a_quarter_of_a_point_needs_1080_images() -> None:
    assert images_to_certify(0.0025) == 1080
    assert smallest_certifiable_drop(1080) <= 0.0025 < smallest_certifiable_drop(1079)


@given(st.floats(1e-5, 0.5))
def test_the_images_to_certify_are_the_least_that_do(margin: float) -> None:
    n = images_to_certify(margin)
    assert smallest_certifiable_drop(n) <= margin * (1 + 1e-9)
    assert n == 1 or smallest_certifiable_drop(n - 1) > margin * (1 - 1e-9)


@given(counts())
def test_the_bounds_enclose_the_estimate(case: tuple[int, int, int]) -> None:
    broken, fixed, n = case
    lower, upper = tango_interval(broken, fixed, n)
    assert -1 <= lower <= (broken - fixed) / n <= upper <= 1
    assert lower < upper


@given(counts())
def test_swapping_broken_and_fixed_mirrors_the_bounds(case: tuple[int, int, int]) -> None:
    broken, fixed, n = case
    lower, upper = tango_interval(broken, fixed, n)
    assert tango_interval(fixed, broken, n) == pytest.approx((-upper, -lower), abs=1e-7)


@given(counts())
def test_one_more_broken_image_moves_both_bounds_up(case: tuple[int, int, int]) -> None:
    broken, fixed, n = case
    assume(broken + fixed < n)
    (lower, upper), (lower_after, upper_after) = tango_interval(broken, fixed, n), tango_interval(broken + 1, fixed, n)
    assert lower_after > lower - 1e-9
    assert upper_after > upper - 1e-9


@given(counts())
def test_at_its_bounds_the_score_is_plus_and_minus_z(case: tuple[int, int, int]) -> None:
    broken, fixed, n = case
    lower, upper = tango_interval(broken, fixed, n)
    if broken < n:
        assert float(tango_score(broken, fixed, n, upper)) == pytest.approx(-Z_ONE_SIDED_95, abs=1e-4)
    if fixed < n:
        assert float(tango_score(broken, fixed, n, lower)) == pytest.approx(Z_ONE_SIDED_95, abs=1e-4)


@pytest.mark.parametrize("n", [1, 2, 21, 8400])
def test_when_every_image_flips_one_bound_is_the_end_of_the_scale(n: int) -> None:
    lower, upper = tango_interval(n, 0, n)
    assert upper == 1.0
    assert lower < 1.0
    assert tango_interval(0, n, n) == pytest.approx((-1.0, -lower), abs=1e-9)


@pytest.mark.parametrize(("broken", "fixed", "n"), [(-1, 0, 5), (0, -1, 5), (3, 3, 5), (0, 0, 0), (0, 0, -5)])
def test_counts_that_cannot_be_are_refused(broken: int, fixed: int, n: int) -> None:
    with pytest.raises(ValueError, match="Expected broken"):
        tango_interval(broken, fixed, n)
    with pytest.raises(ValueError, match="Expected broken"):
        images_to_decide(broken, fixed, n, 0.0025)


@pytest.mark.parametrize(
    ("successes", "n", "interval"),  # Newcombe (1998), Statistics in Medicine 17, 857-872, table I, method 3
    [(81, 263, (0.2553, 0.3662)), (15, 148, (0.0624, 0.1605)), (0, 20, (0.0, 0.1611)), (1, 29, (0.0061, 0.1718))],
)
def test_wilson_gives_the_published_intervals(successes: int, n: int, interval: tuple[float, float]) -> None:
    assert wilson_interval(successes, n) == pytest.approx(interval, abs=5e-5)


def test_mcnemar_of_eight_and_two_is_what_one_gets_by_hand() -> None:
    assert mcnemar_p(8, 2) == pytest.approx(2 * (comb(10, 0) + comb(10, 1) + comb(10, 2)) / 2**10)


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_is_twice_the_smaller_binomial_tail(broken: int, fixed: int) -> None:
    tail = float(binom.cdf(min(broken, fixed), broken + fixed, 0.5)) if broken + fixed else 1.0
    assert mcnemar_p(broken, fixed) == pytest.approx(min(1.0, 2 * tail), rel=1e-9)


MARGIN = 0.0025


def decided_share(rates: np.ndarray, images: int) -> float:
    """How often `images` images decide, by the intervals themselves. rates: [repetitions, 3], of broken, fixed and all others."""

    @cache
    def decides(b: int, c: int) -> bool:
        lower, upper = tango_interval(b, c, images)
        return upper <= MARGIN or lower > MARGIN

    draws = np.random.default_rng(2027).multinomial(images, rates)
    return float(np.mean([decides(int(b), int(c)) for b, c, _ in draws]))


def possible_rates(broken: int, fixed: int, n: int, repetitions: int = 2000) -> np.ndarray:
    """What the true rates may be after these counts (the posterior under Jeffreys' prior)."""
    return np.random.default_rng(2026).dirichlet((broken + 0.5, fixed + 0.5, n - broken - fixed + 0.5), size=repetitions)


@pytest.mark.parametrize(("broken", "fixed", "n"), [(0, 0, 300), (1, 1, 300), (3, 1, 1000), (20, 8, 8400), (8, 0, 2000)])
def test_the_advised_number_of_images_decides_in_four_of_five_repetitions(broken: int, fixed: int, n: int) -> None:
    lower, upper = tango_interval(broken, fixed, n)
    assert lower <= MARGIN < upper, "undecided as it stands"
    images = images_to_decide(broken, fixed, n, MARGIN)
    assert images is not None
    assert images > n
    rates = possible_rates(broken, fixed, n)
    assert decided_share(rates, images) >= 0.8 - 0.03
    assert decided_share(rates, int(0.7 * images)) < 0.8 + 0.01, "and it is not more than needed"
    assert images_to_decide(broken, fixed, n, MARGIN) == images


@pytest.mark.parametrize("n", [1, 20, 300])
def test_never_fewer_are_advised_than_can_certify_the_margin(n: int) -> None:
    assert (images_to_decide(0, min(2, n), n, MARGIN) or 0) >= images_to_certify(MARGIN)


def test_a_drop_at_the_margin_is_decided_by_no_affordable_number_of_images() -> None:
    assert images_to_decide(3500, 1000, 1_000_000, MARGIN) is None


@settings(max_examples=20)
@given(st.integers(1, 40), st.floats(0.1, 1e4))
def test_the_ratio_of_a_latency_to_itself_is_exactly_one(pairs: int, scale: float) -> None:
    latencies = scale * np.random.default_rng(pairs).uniform(1, 2, pairs)
    assert ratio_interval(latencies, latencies) == (1.0, 1.0, 1.0)


def test_the_ratio_interval_covers_a_known_ratio_under_drift_and_noise() -> None:
    covered = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        drift = np.cumprod(rng.normal(1, 0.05, 60))  # what the machine does to both alike
        slower, base = (factor * drift * rng.lognormal(0, 0.02, 60) for factor in (1.05, 1.0))
        ratio, low, high = ratio_interval(slower, base)
        assert low <= ratio <= high
        assert high - low < 0.04
        covered += low <= 1.05 <= high
    assert covered >= 95  # at a level of 99 %


def test_the_ratio_interval_is_the_same_each_time() -> None:
    slower, base = np.random.default_rng(0).uniform(1, 2, (2, 50))
    assert ratio_interval(slower, base) == ratio_interval(slower, base)
