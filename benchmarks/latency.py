"""Latency of every artifact on every runtime, measured so that the numbers can be compared.

One worker process per runtime and number of threads holds all its artifacts, warm. The parent gives turns, one running at a time, in rounds:
in each round every contestant runs one block, in random order (`benchmarks.turns`). Whatever the machine does meanwhile it does to all of
them alike, so that ratios within a round mean something even where absolute times do not.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.matrix import Artifact, able_runtimes
from benchmarks.targets.base import Target
from benchmarks.turns import Rounds, reason_for
from edge_runtime.bench import in_threads
from edge_runtime.golden import GoldenVectors
from edge_runtime.jobs import Message
from edge_runtime.progress import Progress, silent
from edge_runtime.timing import TIMED_IMAGES
from edge_runtime.worker import Worker

COLD_RUNS = 3  # fresh processes, as long as they have taken less than half the measuring time


@dataclass
class Contestant:
    """One artifact on one runtime with so many threads, and its samples so far."""

    artifact: Artifact
    runtime: str
    index: int  # among its worker's models
    facts: dict[str, Any] = field(default_factory=dict)
    cold: dict[str, Any] = field(default_factory=dict)
    invoke_ns: list[list[int]] = field(default_factory=list)  # one list a round
    predict_ns: list[list[int]] = field(default_factory=list)
    pipeline_ns: list[list[int]] = field(default_factory=list)  # one list a round of its own; empty where nothing decodes pictures
    reason: str = ""  # why it could not run
    threads: int = 1
    rate_hz: float | None = None  # None: one run after the other
    peer: str | None = None  # the name of another tool that made the file
    twin: Contestant | None = None  # the same artifact opened once more in the same worker: what it tells against itself is the A/A pair
    span_ns: int = 0  # of all its blocks
    interrupted: int = 0  # how often others took the processor from it meanwhile
    missed: int = 0  # paced runs that were not done when the next was due
    tick_ns: int = 1  # of the clock it was timed with

    @property
    def samples(self) -> int:
        return sum(len(block) for block in self.predict_ns)

    @property
    def seconds(self) -> float:
        return sum(sum(block) for block in self.predict_ns) / 1e9

    @property
    def interrupted_share(self) -> float:
        """Of its runs, those in which others took the processor: at most all, though one run can be interrupted more than once."""
        return min(self.interrupted / self.samples, 1.0) if self.samples else 0.0

    @property
    def place(self) -> tuple[str, int]:
        """Which worker it lives in."""
        return self.runtime, self.threads


def block_medians(contestant: Contestant) -> np.ndarray:
    """Nanoseconds of scope `predict` [rounds], each the median of a block."""
    return np.array([np.median(block) for block in contestant.predict_ns])


def measure(
    artifacts: Sequence[Artifact],
    images: np.ndarray,
    target: Target,
    *,
    runtimes: Sequence[str] = (),
    seconds: float = 2.0,
    threads: Sequence[int] = (1,),
    rate_hz: float | None = None,
    full: bool = False,
    golden: Path | None = None,
    between_rounds: Callable[[], None] = lambda: None,
    progress: Progress = silent,
) -> list[Contestant]:
    """Time all artifacts × runtimes × numbers of threads on uint8 images [n, H, W, C]. One that cannot run keeps its reason.

    Each runs at least `seconds` and 1,024 times; with rate_hz, paced, as often as that rate allows in `seconds`.
    full: also an A/A pair (one contestant gets its `twin`), the scope pipeline, and cold starts repeated.
    golden: vectors that each must answer first; what answers otherwise there is not timed.
    """
    contestants = [
        Contestant(artifact, runtime, 0, threads=count, rate_hz=rate_hz, peer=artifact.peer)
        for artifact in artifacts
        for runtime in able_runtimes(artifact, runtimes)
        for count in threads
    ]
    vectors = GoldenVectors.load(golden).outputs if golden else {}
    with tempfile.TemporaryDirectory(prefix="edgeproof-") as folder, contextlib.ExitStack() as stack:
        images_file = Path(folder) / "images.npy"
        np.save(images_file, images[:TIMED_IMAGES])
        for index, contestant in enumerate(contestants):
            progress(index, 2 * len(contestants), f"cold start of {contestant.artifact.format} on {contestant.runtime}")
            if golden and contestant.artifact.path.name in vectors:
                _test_itself(contestant, golden, target)
            if not contestant.reason:
                _measure_cold(contestant, images_file, target, seconds / 2 if full else 0)
        able = [contestant for contestant in contestants if not contestant.reason]
        entered = [*able, *(_twin_of_one(able) if full else ())]
        workers = {}
        for place in dict.fromkeys(contestant.place for contestant in able):
            progress(len(contestants), 2 * len(contestants), f"warming up {place[0]}, {in_threads(place[1])}")
            with reason_for(group := [contestant for contestant in entered if contestant.place == place]):
                workers[place] = _start(stack, group, images_file, target)
        rounds = Rounds(workers, seconds, between_rounds, progress)
        rounds.take([contestant for contestant in entered if not contestant.reason])
        if full and rate_hz is None:
            rounds.take_pipeline([contestant for contestant in able if not contestant.reason])
    return contestants


def _twin_of_one(able: Sequence[Contestant]) -> list[Contestant]:
    """The A/A pair: of the first float32 contestant with the fewest threads, or else the first of all. Gives it its twin and returns that."""
    ranked = sorted(able, key=lambda contestant: (not contestant.artifact.format.endswith("float32"), contestant.threads))
    for contestant in ranked[:1]:
        contestant.twin = Contestant(contestant.artifact, contestant.runtime, 0, threads=contestant.threads, rate_hz=contestant.rate_hz)
    return [contestant.twin for contestant in ranked[:1] if contestant.twin]


def _test_itself(contestant: Contestant, golden: Path, target: Target) -> None:
    artifact = contestant.artifact
    job = {"job": "selftest", "model": str(artifact.path), "assume": artifact.assume, "golden": str(golden), "threads": contestant.threads}
    with reason_for([contestant]):
        answer = target.run(job, contestant.runtime)
        if not answer["passed"]:
            contestant.reason = (
                f"its self-test failed there: {answer['labels_differing']} of {answer['images']} golden labels differ, "
                f"outputs by up to {answer['largest_difference']:.2%} of their range (tolerated {answer['tolerance']:.2%})"
            )


def _measure_cold(contestant: Contestant, images_file: Path, target: Target, seconds: float) -> None:
    """Each number from fresh processes: one, and more while they have taken less than `seconds`. Kept is the median."""
    artifact, begin = contestant.artifact, time.perf_counter()
    answers: list[Message] = []
    job = {"job": "cold", "model": str(artifact.path), "assume": artifact.assume, "images": str(images_file), "threads": contestant.threads}
    with reason_for([contestant]):
        while not answers or (len(answers) < COLD_RUNS and time.perf_counter() - begin < seconds):
            answers.append(target.run(job, contestant.runtime))
        times = {f"{name}_ms": float(np.median([answer[f"{name}_ns"] for answer in answers])) / 1e6 for name in ("import", "load", "first")}
        memory = int(np.median([answer["peak_memory_bytes"] for answer in answers]))
        contestant.cold = {**times, "peak_memory_bytes": memory, "cold_runs": len(answers)}


def _start(stack: contextlib.ExitStack, contestants: list[Contestant], images_file: Path, target: Target) -> Worker:
    for index, contestant in enumerate(contestants):
        contestant.index = index
    artifacts = [contestant.artifact for contestant in contestants]
    models = {"models": [str(artifact.path) for artifact in artifacts], "assume": [artifact.assume for artifact in artifacts]}
    job = {"job": "time", **models, "images": str(images_file), "threads": contestants[0].threads}
    worker = stack.enter_context(target.start(job, contestants[0].runtime))
    ready = worker.receive()
    for contestant, facts in zip(contestants, ready["models"], strict=True):
        contestant.facts, contestant.tick_ns = facts, ready["tick_ns"]
    return worker
