"""The measuring loop, and how much is measured: single stream, batch 1, real images in rotation.

One pass takes four clock readings and so yields two scopes of the very same run: `invoke` (the interpreter alone) and `predict`
(encode the pixels, run, take the label).
"""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from edge_runtime.classifier import Classifier

WARM_UP_RUNS = 50
WARM_UP_SECONDS = 0.5
MIN_SAMPLES = 1024  # MLPerf's floor for a single-stream p90
MIN_SAMPLES_P99 = 662  # MLPerf's early-stopping floor for p99
MIN_BLOCK_RUNS = 50  # shorter blocks measure the change of turns
MAX_BLOCK_RUNS = 1000
BLOCK_SECONDS = 0.02  # long enough to hide the turn, short enough for many rounds
TIMED_IMAGES = 256  # in rotation: real images, so that no branch predictor learns the one
REFILL_RUNS = 5  # unrecorded, at the start of a block: the model before it left the caches cold, which is no cost of this one


def block_runs(latest_ns: Sequence[int]) -> int:
    """How many runs the next block should have, by the latest samples (none before the first block)."""
    if not latest_ns:
        return MIN_BLOCK_RUNS
    return int(np.clip(BLOCK_SECONDS / (float(np.median(latest_ns)) / 1e9), MIN_BLOCK_RUNS, MAX_BLOCK_RUNS))


@dataclass
class TimedModel:
    """One opened classifier with its images, and where in the rotation it stands."""

    classifier: Classifier
    images: np.ndarray  # uint8 [N, H, W, C]
    position: int = field(default=0)

    def block(self, runs: int) -> tuple[np.ndarray, np.ndarray]:
        """Time `runs` single inferences, after a few unrecorded ones. Returns (invoke, predict), each int64 [runs] in nanoseconds."""
        invoke, predict = np.empty(runs, np.int64), np.empty(runs, np.int64)
        model, encode, clock = self.classifier.model, self.classifier.encode, time.perf_counter_ns
        collecting = gc.isenabled()
        gc.disable()  # a collection inside a run would be billed to the model
        try:
            for run in range(-REFILL_RUNS, runs):
                image = self._next_image()
                begin = clock()
                model.set_input(encode(image))
                ready = clock()
                model.invoke()
                done = clock()
                model.get_output().argmax()
                end = clock()
                if run >= 0:
                    predict[run], invoke[run] = end - begin, done - ready
        finally:
            if collecting:
                gc.enable()
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


def peak_memory_bytes() -> int:
    """This process's peak resident memory (VmHWM). Not ru_maxrss: that one starts at the parent's size across exec."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    raise OSError("VmHWM is not in /proc/self/status: peak memory needs Linux")
