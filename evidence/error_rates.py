"""Does the verdict keep its error rates? Exactly: every outcome of the flips with its probability, not a simulation.

Of n images each is broken, fixed or neither: the counts are trinomial, and a verdict depends on the two counts alone. Outcomes left out
have a probability below 1e-11 in all.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import comb

import numpy as np

from benchmarks.parity import DEFAULT_MARGIN_PP
from benchmarks.statistics import Z_ONE_SIDED_95, mcnemar_p, tango_score
from evidence.findings import Finding, Places

MARGIN = DEFAULT_MARGIN_PP / 100
SPLIT = 8400  # validation images of the digits
IMAGES = (*range(1080, 8400, 60), 8400, 12_000, 20_000, 30_000, 42_000)  # from the least that can certify the margin
FLIP_RATES_PP = (0.25, 0.26, 0.28, 0.3, 0.35, 0.4, 0.5, 0.75, 1.0, 2.0, 5.0)  # a drop of 0.25 pp needs at least as many flips
EXPECTED_COUNTS = tuple(range(41))
OFF_GRID = np.arange(0.1, 6, 0.1)  # between the cells, where coverage is worst: few flips


def outcomes(n: int, broken_rate: float, fixed_rate: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(broken [B, 1], fixed [1, F], probability [B, F]) of all outcomes that can be expected."""
    from scipy.stats import binom

    broken, fixed = (np.arange(int(binom.isf(1e-12, n, rate)) + 2) for rate in (broken_rate, fixed_rate))
    of_the_rest = fixed_rate / (1 - broken_rate)
    probability = binom.pmf(broken[:, np.newaxis], n, broken_rate) * binom.pmf(fixed[np.newaxis], n - broken[:, np.newaxis], of_the_rest)
    return broken[:, np.newaxis], fixed[np.newaxis], probability


def verdict_shares(n: int, broken_rate: float, fixed_rate: float, margin: float = MARGIN) -> tuple[float, float]:
    """(share of PASS, share of FAIL). The upper bound is within the margin exactly where the score at the margin is at most -z."""
    broken, fixed, probability = outcomes(n, broken_rate, fixed_rate)
    score = tango_score(broken, fixed, n, margin)
    return float(probability[score <= -Z_ONE_SIDED_95].sum()), float(probability[score > Z_ONE_SIDED_95].sum())


def coverage(n: int, expected_broken: float, expected_fixed: float) -> float:
    """How often the one-sided 95 % upper bound is not below the true drop. (The lower bound's is the same with the two exchanged.)"""
    broken, fixed, probability = outcomes(n, expected_broken / n, expected_fixed / n)
    missed = tango_score(broken, fixed, n, (expected_broken - expected_fixed) / n) < -Z_ONE_SIDED_95
    return float(1 - probability[missed].sum())


def prove(places: Places) -> list[Finding]:
    command = places.command("error-rates")
    return [
        false_pass((SPLIT,), FLIP_RATES_PP, command),
        false_pass(IMAGES, FLIP_RATES_PP, command),
        *coverage_on_a_grid(EXPECTED_COUNTS, command),
        equal_models_fail((300, 1000, SPLIT), command),
        mcnemar_is_exact(60, command),
    ]


def false_pass(images: Sequence[int], flip_rates_pp: Sequence[float], command: str) -> Finding:
    """At a true drop equal to the margin."""
    shares = {}
    for n in images:
        for flips in flip_rates_pp:
            shares[n, flips] = verdict_shares(n, (flips / 100 + MARGIN) / 2, (flips / 100 - MARGIN) / 2)[0]
    worst = max(shares, key=lambda cell: shares[cell])
    above = sum(share > 0.055 for share in shares.values())
    at = f"{images[0]:,} images" if len(images) == 1 else f"{images[0]:,} to {images[-1]:,} images"
    return Finding(
        f"False PASS at a true drop of exactly {100 * MARGIN:g} pp, {at}, flip rates {flip_rates_pp[0]:g} to {flip_rates_pp[-1]:g} %",
        "≤ 5.5 % at every flip rate",
        f"{100 * min(shares.values()):.1f} to {100 * shares[worst]:.1f} %; worst at {worst[0]:,} images with {worst[1]:g} % flips; "
        f"above 5.5 % in {above} of {len(shares)} cells",
        above == 0,
        command,
    )


def coverage_on_a_grid(expected: Sequence[int], command: str, n: int = SPLIT) -> list[Finding]:
    cells = {(broken, fixed): coverage(n, broken, fixed) for broken in expected for fixed in expected}
    worst = min(cells, key=lambda cell: cells[cell])
    between = {(broken, fixed): coverage(n, broken, fixed) for broken in OFF_GRID for fixed in OFF_GRID}
    lowest = min(between, key=lambda cell: between[cell])
    grid = f"Coverage of the one-sided 95 % bound of the drop, {n:,} images, expected broken and fixed each {expected[0]} to {expected[-1]}"
    note = f"{100 * between[lowest]:.1f} % between the cells, at {lowest[0]:.1f} and {lowest[1]:.1f}"
    mean = float(np.mean(list(cells.values())))
    return [
        Finding(
            f"{grid}: each cell",
            "≥ 91 %",
            f"{100 * cells[worst]:.1f} % at worst, at {worst[0]} broken and {worst[1]} fixed; {note}",
            bool(cells[worst] >= 0.91),
            command,
        ),
        Finding(f"{grid}: on average", "≥ 94.5 %", f"{100 * mean:.1f} %", bool(mean >= 0.945), command),
    ]


def equal_models_fail(images: Sequence[int], command: str, flips: float = 0.005) -> Finding:
    shares = {n: verdict_shares(n, flips / 2, flips / 2)[1] for n in images}
    return Finding(
        f"Two models of equal accuracy with {100 * flips:g} % flips get FAIL",
        "≤ 1 in 200 (0.5 %)",
        ", ".join(f"{100 * share:.2f} % at {n:,} images" for n, share in shares.items()),
        bool(max(shares.values()) <= 1 / 200),
        command,
    )


def mcnemar_is_exact(most: int, command: str) -> Finding:
    """Against scipy's binomial test, and against whole-number arithmetic."""
    from scipy.stats import binomtest

    from_scipy = from_fractions = 0.0
    for broken in range(most + 1):
        for fixed in range(most + 1):
            flips, p = broken + fixed, mcnemar_p(broken, fixed)
            tail = Fraction(sum(comb(flips, k) for k in range(min(broken, fixed) + 1)), 2**flips)
            from_fractions = max(from_fractions, abs(p - float(min(Fraction(1), 2 * tail))))
            from_scipy = max(from_scipy, abs(p - (binomtest(broken, flips, 0.5).pvalue if flips else 1.0)))
    return Finding(
        f"Exact McNemar, all broken and fixed up to {most}",
        "equal to scipy's binomial test",
        f"largest difference {from_scipy:.1g}; from whole-number arithmetic {from_fractions:.1g}",
        bool(max(from_scipy, from_fractions) < 1e-12),
        command,
    )
