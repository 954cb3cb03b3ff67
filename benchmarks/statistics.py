"""The statistics of a verdict: pure functions of counts.

Two classifiers see the same n images. `broken` (b): the baseline is right and the export wrong; `fixed` (c): the reverse. The drop in
accuracy is (b - c)/n; images on which both are right, or both wrong, say nothing about it.
"""

from __future__ import annotations

import math

import numpy as np

Z_ONE_SIDED_95 = 1.6448536269514722  # quantiles of the normal distribution
Z_TWO_SIDED_95 = 1.959963984540054
POWER = 0.8
LEAST_DIFFERENCE = 0.02  # of two latencies
_REPETITIONS = 4000
_MOST_IMAGES = 10_000_000


def tango_score(broken: np.ndarray | int, fixed: np.ndarray | int, n: int, drop: float) -> np.ndarray:
    """Tango's score statistic for the hypothesis that the true drop is `drop` (a fraction in (-1, 1)).

    Tango, T. (1998), Statistics in Medicine 17, 891-908, equations 12 to 15: z = (b - c - n·drop) / sqrt(n (2q + drop(1 - drop))), with q
    the maximum-likelihood estimate of the probability of a fixed image under the hypothesis.
    """
    b, c = np.asarray(broken, np.float64), np.asarray(fixed, np.float64)
    a2 = 2.0 * n
    a1 = -b - c + (2 * n - b + c) * drop
    a0 = -c * drop * (1 - drop)
    q = (np.sqrt(np.maximum(a1 * a1 - 4 * a2 * a0, 0.0)) - a1) / (2 * a2)
    variance = n * (2 * q + drop * (1 - drop))
    numerator = b - c - n * drop
    # At a hypothesis that allows no flips (variance 0), any flip refutes it: a large finite score, because root finders choke on infinity.
    return np.where(variance > 0, numerator / np.sqrt(np.where(variance > 0, variance, 1.0)), np.sign(numerator) * 1e9)


def tango_interval(broken: int, fixed: int, n: int, z: float = Z_ONE_SIDED_95) -> tuple[float, float]:
    """(lower, upper) bound of the drop as fractions, each one-sided at the level of `z`: where the score statistic is ±z."""
    _check_counts(broken, fixed, n)
    estimate = (broken - fixed) / n

    def bound(target: float, low: float, high: float) -> float:
        while high - low > 1e-12:  # the score falls as the drop grows
            middle = (low + high) / 2
            low, high = (middle, high) if tango_score(broken, fixed, n, middle) > target else (low, middle)
        return (low + high) / 2

    upper = 1.0 if broken == n else bound(-z, estimate, 1.0)
    lower = -1.0 if fixed == n else bound(z, -1.0, estimate)
    return lower, upper


def _check_counts(broken: int, fixed: int, n: int) -> None:
    if not (broken >= 0 and fixed >= 0 and n > 0 and broken + fixed <= n):
        raise ValueError(f"Expected broken + fixed <= n with n > 0, got {broken} + {fixed} and {n}.")


def wilson_interval(successes: int, n: int) -> tuple[float, float]:
    """Two-sided 95 % interval of a proportion (Wilson, 1927, JASA 22, 209-212)."""
    share, z2 = successes / n, Z_TWO_SIDED_95**2
    middle = share + z2 / (2 * n)
    half = Z_TWO_SIDED_95 * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max((middle - half) / (1 + z2 / n), 0.0), min((middle + half) / (1 + z2 / n), 1.0)


def mcnemar_p(broken: int, fixed: int) -> float:
    """Exact two-sided p of equal error rates: given that an image flipped, either direction is a coin toss (McNemar, 1947)."""
    flips, fewer = broken + fixed, min(broken, fixed)
    ways = term = 1
    for k in range(fewer):
        term = term * (flips - k) // (k + 1)  # binomial coefficients, exact in integers
        ways += term
    return min(1.0, 2 * ways / 2**flips)


def smallest_certifiable_drop(n: int, z: float = Z_ONE_SIDED_95) -> float:
    """The upper bound (a fraction) when not a single image flips: no smaller margin can be certified with n images."""
    return z * z / (n + z * z)


def images_to_certify(margin: float, z: float = Z_ONE_SIDED_95) -> int:
    """The least n with which no flips at all certify `margin` (a fraction)."""
    return math.ceil(z * z * (1 - margin) / margin)


def images_to_decide(broken: int, fixed: int, n: int, margin: float) -> int | None:
    """How many images would settle PASS or FAIL in 80 % of repetitions, given what was seen; None if ten million would not.

    The rates seen are not the true ones: of 300 images without a flip one cannot promise that 1,080 more have none. So rates are drawn
    from what the counts leave possible (the posterior under Jeffreys' prior, Dirichlet 1/2), new counts at those rates, and judged like the
    real ones; never fewer than could certify the margin. By seeded simulation: deterministic.
    """
    _check_counts(broken, fixed, n)
    possible = np.random.default_rng(0).dirichlet((broken + 0.5, fixed + 0.5, n - broken - fixed + 0.5), size=_REPETITIONS)
    low = high = max(n, images_to_certify(margin))
    while _decided_share(possible, high, margin) < POWER:
        low, high = high, high * 2
        if high > _MOST_IMAGES:
            return None
    while high - low > max(1, low // 500):
        middle = (low + high) // 2
        if _decided_share(possible, middle, margin) < POWER:
            low = middle
        else:
            high = middle
    return high


def _decided_share(rates: np.ndarray, n: int, margin: float) -> float:
    """rates: float [repetitions, 3], of broken, fixed and all other images."""
    draws = np.random.default_rng(1).multinomial(n, rates)
    return float((np.abs(tango_score(draws[:, 0], draws[:, 1], n, margin)) >= Z_ONE_SIDED_95).mean())


def ratio_interval(numerator: np.ndarray, denominator: np.ndarray, level: float = 0.99, resamples: int = 2000) -> tuple[float, float, float]:
    """(ratio, low, high) of two latencies measured in pairs: the median of the pairs' ratios, with a percentile-bootstrap interval.

    numerator, denominator: float [pairs], each the median of one block, measured next to each other in time. Deterministic.
    """
    ratios = np.asarray(numerator, np.float64) / np.asarray(denominator, np.float64)
    low, high = _middle_part(_median_draws(ratios, resamples, seed=0), level)
    return float(np.median(ratios)), low, high


def ratio_of_ratios(now: np.ndarray, then: np.ndarray, level: float = 0.99, resamples: int = 2000) -> tuple[float, float, float]:
    """(ratio, low, high) of two medians from two sessions, each of ratios float [pairs] paired within its own: both are drawn again, apart."""
    draws = _median_draws(now, resamples, seed=0) / _median_draws(then, resamples, seed=1)
    return float(np.median(now) / np.median(then)), *_middle_part(draws, level)


def _median_draws(values: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    picks = np.random.default_rng(seed).integers(0, len(values), (resamples, len(values)))
    medians: np.ndarray = np.median(values[picks], axis=1)
    return medians


def _middle_part(draws: np.ndarray, level: float) -> tuple[float, float]:
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def differs(ratio: float, low: float, high: float, least: float = LEAST_DIFFERENCE) -> bool:
    """Whether two latencies differ for more than chance and place: the ratio is off 1 by more than `least`, and its interval is wholly on that
    side of 1. One file opened twice lies at two addresses, and that alone can make it faster by half a percent, reproducibly."""
    return abs(ratio - 1) > least and not low <= 1 <= high
