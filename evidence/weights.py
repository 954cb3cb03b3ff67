"""From events to time: weights that fit published times best, and the errors they make on networks they have not seen."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

COVERAGE = 0.8  # of networks not seen, inside the interval
_ENOUGH = 3  # networks a weight


@dataclass(frozen=True)
class Row:
    """One network on one board: what it did, and how long that took there."""

    network: str
    events: Mapping[str, float]
    published: float  # milliseconds
    kind: str = ""  # networks of one kind share kernels that others do not use


@dataclass(frozen=True)
class Fit:
    """Weights of a board, and predicted / published of each network that was left out."""

    weights: dict[str, float]  # clock cycles an event
    ratios: tuple[float, ...]  # with the weights that all others give
    unseen: tuple[float, ...]  # with those that all networks of other kinds give, where these are enough

    @property
    def errors(self) -> np.ndarray:
        """Leave-one-out errors, relative to the published time."""
        return np.asarray(self.ratios) - 1

    @property
    def mean(self) -> float:
        return float(np.abs(self.errors).mean())

    @property
    def median(self) -> float:
        return float(np.median(np.abs(self.errors)))

    @property
    def worst(self) -> float:
        return float(np.abs(self.errors).max())

    @property
    def sizes(self) -> list[float]:
        """Of each network, the larger of its two errors, as the absolute logarithm of predicted / published."""
        return [max(abs(math.log(one)), abs(math.log(other))) for one, other in zip(self.ratios, self.unseen, strict=True)]

    def covered(self, factor: float) -> int:
        """How many published times lie between leave-one-out prediction / factor and prediction × factor."""
        return sum(abs(math.log(ratio)) <= math.log(factor) + 1e-9 for ratio in self.ratios)


def interval_factor(sizes: Sequence[float]) -> float:
    """A prediction is divided and multiplied by this: a network not seen lies between, with probability COVERAGE at least, if it is one like these.

    Conformal prediction: of n sizes of errors, the ceil((n + 1) * COVERAGE)-th smallest.
    """
    rank = min(len(sizes), math.ceil((len(sizes) + 1) * COVERAGE))
    return math.exp(sorted(sizes)[rank - 1])


def fit(rows: Sequence[Row], names: Sequence[str], clock_mhz: int) -> Fit:
    """Weights of the events called `names`, none below zero, that make the squares of the relative errors least."""

    def weigh(some: Sequence[Row]) -> np.ndarray:
        from scipy.optimize import nnls

        shares = np.array([_shares(row, names, clock_mhz) for row in some])
        return np.asarray(nnls(shares, np.ones(len(some)))[0])

    def ratio(row: Row, others: Sequence[Row]) -> float:
        return float(_shares(row, names, clock_mhz) @ weigh(others))

    ratios, unseen = [], []
    for row in rows:
        ratios.append(ratio(row, [other for other in rows if other is not row]))
        strangers = [other for other in rows if other.kind != row.kind]
        unseen.append(ratio(row, strangers) if len(strangers) >= _ENOUGH * len(names) else ratios[-1])
    return Fit(dict(zip(names, map(float, weigh(rows)), strict=True)), tuple(ratios), tuple(unseen))


def _shares(row: Row, names: Sequence[str], clock_mhz: int) -> np.ndarray:
    """The part of the published time that each kind of event would take at one cycle each."""
    return np.array([row.events[name] for name in names]) / (clock_mhz * 1e3 * row.published)


def nested_errors(candidates: Sequence[tuple[Sequence[Row], Sequence[str]]], clock_mhz: int) -> np.ndarray:
    """What choosing among ways to predict adds to the errors: each network predicted in the way that is best on all others.

    candidates: of each way, what every network did (the same networks in the same order) and the names of the events it weighs.
    """
    errors = []
    for left_out in range(len(candidates[0][0])):
        others = [([row for index, row in enumerate(rows) if index != left_out], names) for rows, names in candidates]
        fits = [fit(rows, names, clock_mhz) for rows, names in others]
        best = min(range(len(fits)), key=lambda index: fits[index].mean)
        rows, names = candidates[best]
        errors.append(float(_shares(rows[left_out], names, clock_mhz) @ [fits[best].weights[name] for name in names]) - 1)
    return np.array(errors)
