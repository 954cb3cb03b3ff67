"""From events to time: weights that fit published times best, and the errors they make on networks they have not seen."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

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


@dataclass(frozen=True)
class Way:
    """A way to predict: what every board's networks did, and which events are weighed."""

    boards: Mapping[str, Sequence[Row]]  # boards of one core
    clocks: Mapping[str, int]  # MHz
    events: Sequence[str]
    shared: Sequence[str] = ()  # of `events`, those that have one weight on all these boards: what a core's clock cycles are spent on

    def without(self, network: str = "", kind: str | None = None) -> Way:
        """As if a network had never run on any of the boards, or all networks of a kind."""
        return replace(
            self, boards={board: [row for row in rows if row.network != network and row.kind != kind] for board, rows in self.boards.items()}
        )

    def weights(self) -> dict[str, dict[str, float]]:
        """By board, the weights, none below zero, that make the squares of all relative errors least."""
        from scipy.optimize import nnls

        columns = list(dict.fromkeys(self._column(board, event) for board in self.boards for event in self.events))
        lines = []
        for board, rows in self.boards.items():
            for row in rows:
                shares = dict(zip((self._column(board, event) for event in self.events), self.shares(board, row), strict=True))
                lines.append([shares.get(column, 0.0) for column in columns])
        found = dict(zip(columns, map(float, nnls(np.array(lines), np.ones(len(lines)))[0]), strict=True))
        return {board: {event: found[self._column(board, event)] for event in self.events} for board in self.boards}

    def shares(self, board: str, row: Row) -> np.ndarray:
        """The part of the published time that each kind of event would take at one cycle each."""
        return np.array([row.events[event] for event in self.events]) / (self.clocks[board] * 1e3 * row.published)

    def ratio(self, board: str, row: Row, weights: Mapping[str, Mapping[str, float]]) -> float:
        """predicted / published."""
        return float(self.shares(board, row) @ [weights[board][event] for event in self.events])

    def _column(self, board: str, event: str) -> tuple[str, str]:
        return ("" if event in self.shared else board), event


def fit(way: Way) -> dict[str, Fit]:
    """Weights and errors of each board. A network is left out on all boards at once, and so is a kind."""
    weights = way.weights()
    rows = [row for some in way.boards.values() for row in some]
    left_out = {name: way.without(name).weights() for name in {row.network for row in rows}}
    strangers = {kind: way.without(kind=kind) for kind in {row.kind for row in rows}}
    enough = {kind: min(map(len, some.boards.values())) >= _ENOUGH * len(way.events) for kind, some in strangers.items()}
    of_others = {kind: some.weights() for kind, some in strangers.items() if enough[kind]}

    def fit_board(board: str, some: Sequence[Row]) -> Fit:
        ratios = tuple(way.ratio(board, row, left_out[row.network]) for row in some)
        unseen = tuple(way.ratio(board, row, of_others.get(row.kind, left_out[row.network])) for row in some)
        return Fit(weights[board], ratios, unseen)

    return {board: fit_board(board, some) for board, some in way.boards.items()}


def nested_errors(ways: Sequence[Way]) -> dict[str, np.ndarray]:
    """What choosing among ways to predict adds to the errors: each network predicted in the way that is best on all others, by board."""
    errors: dict[str, list[float]] = {board: [] for board in ways[0].boards}
    for name in dict.fromkeys(row.network for rows in ways[0].boards.values() for row in rows):
        without = [way.without(name) for way in ways]
        means = [np.mean([one.mean for one in fit(way).values()]) for way in without]
        best = int(np.argmin(means))
        weights = without[best].weights()
        for board, rows in ways[best].boards.items():
            errors[board] += [ways[best].ratio(board, row, weights) - 1 for row in rows if row.network == name]
    return {board: np.array(some) for board, some in errors.items()}
