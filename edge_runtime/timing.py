"""The measuring loop, and how much is measured: single stream, batch 1, real images in rotation.

One pass takes four clock readings and so yields two scopes of the very same run: `invoke` (the interpreter alone) and `predict`
(encode the pixels, run, take the label). `edge_runtime.pipeline` times the third.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from edge_runtime.classifier import Classifier
from edge_runtime.collection import no_collection

WARM_UP_RUNS = 50
WARM_UP_SECONDS = 0.5
MIN_SAMPLES = 1024  # MLPerf's floor for a single-stream p90
MIN_SAMPLES_P99 = 662  # MLPerf's early-stopping floor for p99
MIN_BLOCK_RUNS = 50  # shorter blocks measure the change of turns
MAX_BLOCK_RUNS = 1000
BLOCK_SECONDS = 0.02  # long enough to hide the turn, short enough for many rounds
TIMED_IMAGES = 256  # in rotation: real images, so that no branch predictor learns the one
REFILL_RUNS = 5  # unrecorded, at the start of a block: the model before it left the caches cold, which is no cost of this one
_TICK_READINGS = 2000
_ROUNDED = 3  # so many neighbouring lengths may be one, rounded


def block_runs(latest_ns: Sequence[int]) -> int:
    """How many runs the next block should have, by the latest samples (none before the first block)."""
    if not latest_ns:
        return MIN_BLOCK_RUNS
    return int(np.clip(BLOCK_SECONDS / (float(np.median(latest_ns)) / 1e9), MIN_BLOCK_RUNS, MAX_BLOCK_RUNS))


@dataclass(frozen=True)
class PacedBlock:
    """Inferences at a rate: int64 [runs] nanoseconds of both scopes, and how the rate was kept."""

    invoke: np.ndarray
    predict: np.ndarray
    span_ns: int  # from the first slot to the end of the last: runs / span is the rate achieved
    missed: int  # runs that were not done when the next slot began


@dataclass
class TimedModel:
    """One opened classifier with its images, and where in the rotation it stands."""

    classifier: Classifier
    images: np.ndarray  # uint8 [N, H, W, C]
    position: int = field(default=0)

    def block(self, runs: int) -> tuple[np.ndarray, np.ndarray]:
        """Time `runs` single inferences, after a few unrecorded ones. Returns (invoke, predict), each int64 [runs] in nanoseconds."""
        self._run(REFILL_RUNS)
        return self._run(runs)

    def paced_block(self, runs: int, rate_hz: float) -> PacedBlock:
        """Time `runs` inferences as a camera asks for them: one each 1/rate seconds, asleep in between.

        That takes longer than one after the other: while it sleeps the clock falls, and others fill the caches. One that is late gives up
        the slots it overran; the first inference, which comes after another model's turn, is not recorded.
        """
        period, missed, samples = round(1e9 / rate_hz), 0, []
        self._run(1)
        begin = slot = time.perf_counter_ns() + period
        for _ in range(runs):
            time.sleep(max(0, slot - time.perf_counter_ns()) / 1e9)
            samples.append(self._run(1))
            overrun = (time.perf_counter_ns() - slot) // period
            missed += overrun > 0
            slot += (1 + overrun) * period
        invoke, predict = (np.concatenate(scope) for scope in zip(*samples, strict=True))
        return PacedBlock(invoke, predict, slot - begin, missed)

    def _run(self, runs: int) -> tuple[np.ndarray, np.ndarray]:
        invoke, predict = np.empty(runs, np.int64), np.empty(runs, np.int64)
        model, encode, clock = self.classifier.model, self.classifier.encode, time.perf_counter_ns
        with no_collection():
            for run in range(runs):
                image = self._next_image()
                begin = clock()
                model.set_input(encode(image))
                ready = clock()
                model.invoke()
                done = clock()
                model.get_output().argmax()
                end = clock()
                predict[run], invoke[run] = end - begin, done - ready
        return invoke, predict

    def warm_up(self) -> int:
        """Run until caches, clocks and lazily built kernels have settled: at least 50 runs and 0.5 s. Returns the runs made."""
        runs, begin = 0, time.perf_counter()
        while runs < WARM_UP_RUNS or time.perf_counter() - begin < WARM_UP_SECONDS:
            self.block(10)
            runs += REFILL_RUNS + 10
        return runs

    def _next_image(self) -> np.ndarray:
        image = self.images[self.position : self.position + 1]
        self.position = (self.position + 1) % len(self.images)
        return image


def clock_tick_ns(clock: Callable[[], int] = time.perf_counter_ns) -> int:
    """The step of the clock that times, in nanoseconds: the least by which two lengths of time differ that it tells apart.

    Lengths of a clock with a step lie on a grid (±1 ns, where the step is no whole number of them); those of one without are any number.
    """
    readings = [clock() for _ in range(_TICK_READINGS)]
    while readings[-1] == readings[0]:  # a step longer than all that
        readings.append(clock())
    lengths = np.unique(np.diff(np.asarray(readings, np.int64)))
    groups = np.split(lengths, np.flatnonzero(np.diff(lengths) > 1) + 1)
    if max(map(len, groups)) > _ROUNDED:
        return 1
    starts = np.array([group[0] for group in groups])
    return int(np.diff(starts).min() if len(starts) > 1 else starts[0])


def peak_memory_bytes() -> int:
    """This process's peak resident memory (VmHWM). Not ru_maxrss: that one starts at the parent's size across exec."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    raise OSError("VmHWM is not in /proc/self/status: peak memory needs Linux")
