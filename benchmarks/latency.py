"""Latency of every artifact on every runtime, measured so that the numbers can be compared.

One worker process per runtime holds all its artifacts, warm. The parent gives turns, one running at a time, in rounds: in each round every
artifact on every runtime runs one block, in random order. Whatever the machine does meanwhile it does to all of them alike, so that ratios
within a round mean something even where absolute times do not.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.matrix import Artifact, able_runtimes
from benchmarks.targets.base import Target
from edge_runtime.errors import RuntimeProblem
from edge_runtime.golden import GoldenVectors
from edge_runtime.progress import Progress, silent
from edge_runtime.timing import MIN_SAMPLES, TIMED_IMAGES, block_runs
from edge_runtime.worker import Worker


@dataclass
class Contestant:
    """One artifact on one runtime, and its samples so far."""

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

    @property
    def samples(self) -> int:
        return sum(len(block) for block in self.predict_ns)

    @property
    def seconds(self) -> float:
        return sum(sum(block) for block in self.predict_ns) / 1e9

    @property
    def block_runs(self) -> int:
        return block_runs(self.predict_ns[-1] if self.predict_ns else ())


def measure(
    artifacts: Sequence[Artifact],
    images: np.ndarray,
    target: Target,
    *,
    runtimes: Sequence[str] = (),
    seconds: float = 2.0,
    threads: int = 1,
    golden: Path | None = None,
    between_rounds: Callable[[], None] = lambda: None,
    progress: Progress = silent,
) -> list[Contestant]:
    """Time all artifacts × runtimes on uint8 images [n, H, W, C], at least `seconds` and 1,024 runs each. One that cannot run keeps its reason.

    golden: vectors that each must answer first; what answers otherwise there is not timed.
    """
    contestants = [Contestant(artifact, runtime, 0, threads=threads) for artifact in artifacts for runtime in able_runtimes(artifact, runtimes)]
    vectors = GoldenVectors.load(golden).outputs if golden else {}
    with tempfile.TemporaryDirectory(prefix="edgeproof-") as folder, contextlib.ExitStack() as stack:
        images_file = Path(folder) / "images.npy"
        np.save(images_file, images[:TIMED_IMAGES])
        for index, contestant in enumerate(contestants):
            progress(index, 2 * len(contestants), f"cold start of {contestant.artifact.format} on {contestant.runtime}")
            if golden and contestant.artifact.path.name in vectors:
                _test_itself(contestant, golden, target, threads)
            if not contestant.reason:
                _measure_cold(contestant, images_file, target, threads)
        able = [contestant for contestant in contestants if not contestant.reason]
        workers = {}
        for runtime in dict.fromkeys(contestant.runtime for contestant in able):
            progress(len(contestants), 2 * len(contestants), f"warming up {runtime}")
            with _reason_for(group := [contestant for contestant in able if contestant.runtime == runtime]):
                workers[runtime] = _start(stack, group, images_file, target, threads)
        _take_turns([contestant for contestant in able if not contestant.reason], workers, seconds, between_rounds, progress)
    return contestants


@contextlib.contextmanager
def _reason_for(contestants: Sequence[Contestant]) -> Iterator[None]:
    """A runtime that fails takes its own contestants out of the race, with the reason; the others go on."""
    try:
        yield
    except RuntimeProblem as error:
        for contestant in contestants:
            contestant.reason = str(error)


def _test_itself(contestant: Contestant, golden: Path, target: Target, threads: int) -> None:
    artifact = contestant.artifact
    job = {"job": "selftest", "model": str(artifact.path), "assume": artifact.assume, "golden": str(golden), "threads": threads}
    with _reason_for([contestant]):
        answer = target.run(job, contestant.runtime)
        if not answer["passed"]:
            contestant.reason = (
                f"its self-test failed there: {answer['labels_differing']} of {answer['images']} golden labels differ, "
                f"outputs by up to {answer['largest_difference']:.2%} of their range (tolerated {answer['tolerance']:.2%})"
            )


def _measure_cold(contestant: Contestant, images_file: Path, target: Target, threads: int) -> None:
    artifact = contestant.artifact
    job = {"job": "cold", "model": str(artifact.path), "assume": artifact.assume, "images": str(images_file), "threads": threads}
    with _reason_for([contestant]):
        answer = target.run(job, contestant.runtime)
        contestant.cold = {
            "import_ms": answer["import_ns"] / 1e6,
            "load_ms": answer["load_ns"] / 1e6,
            "first_ms": answer["first_ns"] / 1e6,
            "peak_memory_bytes": answer["peak_memory_bytes"],
        }


def _start(stack: contextlib.ExitStack, contestants: list[Contestant], images_file: Path, target: Target, threads: int) -> Worker:
    for index, contestant in enumerate(contestants):
        contestant.index = index
    artifacts = [contestant.artifact for contestant in contestants]
    models = {"models": [str(artifact.path) for artifact in artifacts], "assume": [artifact.assume for artifact in artifacts]}
    job = {"job": "time", **models, "images": str(images_file), "threads": threads}
    worker = stack.enter_context(target.start(job, contestants[0].runtime))
    ready = worker.receive()
    for contestant, facts in zip(contestants, ready["models"], strict=True):
        contestant.facts = facts
    return worker


def _take_turns(
    contestants: list[Contestant], workers: dict[str, Worker], seconds: float, between_rounds: Callable[[], None], progress: Progress
) -> None:
    """Rounds until every contestant has its samples and its seconds."""
    order = np.random.default_rng(0)
    budget = seconds * len(contestants)
    begin = time.perf_counter()
    while any(contestant.samples < MIN_SAMPLES or contestant.seconds < seconds for contestant in contestants):
        for index in order.permutation(len(contestants)):
            contestant = contestants[index]
            with _reason_for([other for other in contestants if other.runtime == contestant.runtime]):
                worker = workers[contestant.runtime]
                worker.send({"model": contestant.index, "runs": contestant.block_runs})
                answer = worker.receive()
                contestant.invoke_ns.append(answer["invoke_ns"])
                contestant.predict_ns.append(answer["predict_ns"])
        contestants = [contestant for contestant in contestants if not contestant.reason]
        if not contestants:
            return
        between_rounds()
        elapsed = min(time.perf_counter() - begin, budget)
        done = int(1000 * (0.5 + 0.5 * min(elapsed / budget, 0.99)))
        progress(done, 1000, f"{len(contestants[0].predict_ns)} rounds of {len(contestants)} models")
