"""A network's prefixes run beside the whole, so that differences tell what each operator costs.

All are opened in one process. Counted, each has its windows (see `edge_runtime.counting`); timed, they take turns in short blocks, in a new
order every round, so that whatever else the machine does meets all of them alike.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from edge_runtime.classifier import Classifier
from edge_runtime.counting import SCOPES, count_invokes, count_windows
from edge_runtime.opened import OpenModel
from edge_runtime.timing import TimedModel

LEAST_ROUNDS = 20
MOST_ROUNDS = 400
TURN_SECONDS = 0.002  # of one model in one round
MOST_TURN_RUNS = 100
_FIRST_RUNS = 3  # unrecorded, in each turn: the model before it left the caches cold
_WARM_UP_RUNS = 20


class Counts(NamedTuple):
    """Numbers of windows: of the whole network by scope, and of each prefix."""

    whole: dict[str, int]
    prefixes: list[int]


class Times(NamedTuple):
    """Median nanoseconds a run in each round: of the whole network by scope, and of each prefix, [rounds]."""

    predict: list[float]
    invoke: list[float]
    prefixes: list[list[float]]


def count_parts(whole: Classifier, prefixes: Sequence[OpenModel], images: np.ndarray, runs: int) -> Counts:
    """Windows of `runs` inferences on uint8 images [N, H, W, C], numbered from 1."""
    scopes = count_windows(whole, images, 1, runs)
    numbers = [1 + len(SCOPES) + index for index in range(len(prefixes))]
    batch = whole.encode(images[:1])
    for number, prefix in zip(numbers, prefixes, strict=True):
        prefix.set_input(batch)
        count_invokes(prefix.invoke, number, runs)
    return Counts(scopes, numbers)


def time_parts(
    whole: Classifier, prefixes: Sequence[OpenModel], images: np.ndarray, seconds: float, tell: Callable[[float], None] | None = None
) -> Times:
    """Time for at least `seconds` and LEAST_ROUNDS rounds, on uint8 images [N, H, W, C]. `tell` hears the share that is done."""
    timed = TimedModel(whole, images)
    timed.warm_up()
    batch = whole.encode(images[:1])
    runs = []
    for prefix in prefixes:
        prefix.set_input(batch)
        took = np.median(_time_invokes(prefix, _WARM_UP_RUNS)) / 1e9
        runs.append(int(np.clip(TURN_SECONDS / max(took, 1e-9), 3, MOST_TURN_RUNS)))
    times = Times([], [], [[] for _ in prefixes])
    order, shuffle, begin = list(range(-1, len(prefixes))), random.Random(0).shuffle, time.perf_counter()
    while len(times.predict) < LEAST_ROUNDS or (time.perf_counter() - begin < seconds and len(times.predict) < MOST_ROUNDS):
        shuffle(order)
        for index in order:
            if index < 0:
                invoke, predict = timed.block(runs[-1])
                times.invoke.append(float(np.median(invoke)))
                times.predict.append(float(np.median(predict)))
            else:
                times.prefixes[index].append(float(np.median(_time_invokes(prefixes[index], runs[index]))))
        if tell:
            tell(min((time.perf_counter() - begin) / seconds, 1.0))
    return times


def _time_invokes(model: OpenModel, runs: int) -> np.ndarray:
    """Nanoseconds of single runs, [runs]."""
    invoke, clock, took = model.invoke, time.perf_counter_ns, np.empty(runs, np.int64)
    for run in range(-_FIRST_RUNS, runs):
        begin = clock()
        invoke()
        end = clock()
        if run >= 0:
            took[run] = end - begin
    return took
