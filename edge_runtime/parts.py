"""A network's prefixes run beside the whole, so that differences tell what each operator costs.

Counted, one prefix after the other has its windows (see `edge_runtime.counting`). Timed, all are open in one process and take turns in short
blocks, in a new order every round, so that whatever else the machine does meets all of them alike.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from edge_runtime.classifier import Classifier
from edge_runtime.collection import no_collection
from edge_runtime.counting import SCOPES, WARM_UP_RUNS, count_invokes, count_windows
from edge_runtime.opened import OpenModel
from edge_runtime.timing import REFILL_RUNS, TimedModel

LEAST_ROUNDS = 20
MOST_ROUNDS = 400
TURN_SECONDS = 0.002  # of one model in one round
LEAST_TURN_RUNS, MOST_TURN_RUNS = 3, 100
SETTLING_RUNS = 3  # of a prefix, until its caches and allocations are as they stay; the Python around it is that of all prefixes

Tell = Callable[[float], None]
Open = Callable[[str], OpenModel]  # a prefix, by the name of its file


class Counts(NamedTuple):
    """Numbers of windows: of the whole network by scope, and of each prefix."""

    whole: dict[str, int]
    prefixes: list[int]


class Times(NamedTuple):
    """Median nanoseconds a run in each round: of the whole network by scope, and of each prefix, [rounds]."""

    predict: list[float]
    invoke: list[float]
    prefixes: list[list[float]]


def count_parts(whole: Classifier, prefixes: Sequence[str], open_part: Open, images: np.ndarray, runs: int, tell: Tell) -> Counts:
    """Windows of `runs` inferences on uint8 images [N, H, W, C], numbered from 1. `tell` hears the share that is done."""
    scopes = count_windows(whole, images, 1, runs)
    numbers = [1 + len(SCOPES) + index for index in range(len(prefixes))]
    batch = whole.encode(images[(runs - 1) % len(images)][np.newaxis])  # the one that the whole's own window of "invoke" ran on
    for number, name in zip(numbers, prefixes, strict=True):
        prefix = open_part(name)
        prefix.set_input(batch)
        first = number == numbers[0]  # the cheapest: it has no operator
        count_invokes(prefix.invoke, number, runs, WARM_UP_RUNS if first else min(SETTLING_RUNS, runs))
        tell((1 + number - numbers[0]) / len(numbers))
    return Counts(scopes, numbers)


def time_parts(whole: Classifier, prefixes: Sequence[str], open_part: Open, images: np.ndarray, seconds: float, tell: Tell) -> Times:
    """Time for at least `seconds` and LEAST_ROUNDS rounds, on uint8 images [N, H, W, C] in rotation. `tell` hears the share that is done."""
    timed = TimedModel(whole, images)
    timed.warm_up()
    batches = [whole.encode(images[index : index + 1]) for index in range(len(images))]
    parts = [_TimedPrefix(open_part(name), batches) for name in prefixes]
    runs = [part.runs_of_turn() for part in parts]
    times = Times([], [], [[] for _ in parts])
    order, shuffle, begin = list(range(-1, len(parts))), random.Random(0).shuffle, time.perf_counter()
    while len(times.predict) < LEAST_ROUNDS or (time.perf_counter() - begin < seconds and len(times.predict) < MOST_ROUNDS):
        shuffle(order)
        for index in order:
            if index < 0:
                invoke, predict = timed.block(runs[-1])
                times.invoke.append(float(np.median(invoke)))
                times.predict.append(float(np.median(predict)))
            else:
                times.prefixes[index].append(float(np.median(parts[index].block(runs[index]))))
        tell(min((time.perf_counter() - begin) / seconds, len(times.predict) / LEAST_ROUNDS, 1.0))
    return times


@dataclass
class _TimedPrefix:
    """One opened prefix, the inputs it takes in rotation, and where it stands."""

    model: OpenModel
    batches: Sequence[np.ndarray]
    position: int = 0

    def block(self, runs: int) -> np.ndarray:
        """Nanoseconds of single runs, [runs], after a few unrecorded ones."""
        invoke, clock, took = self.model.invoke, time.perf_counter_ns, np.empty(runs, np.int64)
        with no_collection():
            for run in range(-REFILL_RUNS, runs):
                self.model.set_input(self.batches[self.position % len(self.batches)])
                self.position += 1
                begin = clock()
                invoke()
                end = clock()
                if run >= 0:
                    took[run] = end - begin
        return took

    def runs_of_turn(self) -> int:
        """After a warm-up, how many runs take about TURN_SECONDS."""
        took = float(np.median(self.block(WARM_UP_RUNS))) / 1e9
        return int(np.clip(TURN_SECONDS / max(took, 1e-9), LEAST_TURN_RUNS, MOST_TURN_RUNS))
