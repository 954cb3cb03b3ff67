"""How long one image takes here: every interpreter in a process of its own, all of them warm, in turns.

The samples come from the jobs `time` and `cold`, the same that compare artifacts on other targets.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edge_runtime.errors import InputError, RuntimeProblem
from edge_runtime.interpreter import RUNTIMES, find_runtime, model_suffix, read_model_file
from edge_runtime.timing import MIN_BLOCK_RUNS, MIN_SAMPLES, MIN_SAMPLES_P99, TIMED_IMAGES, block_runs
from edge_runtime.worker import Worker, run_in_subprocess

# From so many samples on a percentile is shown: MLPerf's early-stopping floors, rounded up to what every run has.
FLOORS = {"p50": 1, "p90": 64, "p99": MIN_SAMPLES_P99}


@dataclass
class Timed:
    """One interpreter and its samples in nanoseconds; `problem` instead where it cannot run the model."""

    runtime: str
    facts: dict[str, Any] = field(default_factory=dict)
    cold: dict[str, Any] = field(default_factory=dict)
    invoke_ns: list[int] = field(default_factory=list)
    predict_ns: list[int] = field(default_factory=list)
    problem: str = ""

    def summary(self) -> dict[str, Any]:
        """What `bench --json` prints: microseconds by scope, milliseconds of the cold start."""
        if self.problem:
            return {"runtime": self.runtime, "problem": self.problem}
        scopes = {"invoke_us": percentiles(self.invoke_ns), "predict_us": percentiles(self.predict_ns)}
        cold = {f"{name}_ms": self.cold[f"{name}_ns"] / 1e6 for name in ("import", "load", "first")}
        return {**self.facts, "samples": len(self.predict_ns), **scopes, **cold, "peak_memory_bytes": self.cold["peak_memory_bytes"]}


def percentiles(samples_ns: Sequence[int]) -> dict[str, float]:
    """Microseconds by name, those of FLOORS that so many samples can tell."""
    return {name: float(np.percentile(samples_ns, int(name[1:]))) / 1e3 for name, floor in FLOORS.items() if len(samples_ns) >= floor}


def runtimes_for(model: Path, asked: Iterable[str]) -> list[str]:
    """The runtimes to time: those asked for, or every one installed that opens this kind of file. InputError when there is none."""
    suffix = model_suffix(read_model_file(model), str(model))
    names = [find_runtime(name).name for name in asked] or [
        name for name, runtime in RUNTIMES.items() if runtime.suffix == suffix and runtime.installed
    ]
    if not names:
        raise InputError(f"No runtime for {suffix} files is installed: `python -m edge_runtime doctor` says what each lacks.")
    return names


def bench(
    model: Path,
    images: np.ndarray,
    runtimes: Sequence[str],
    *,
    sha256: str | None = None,
    assume: Mapping[str, Any] | None = None,
    seconds: float = 2.0,
    threads: int = 1,
    tell: Callable[[str], None] = lambda text: None,
) -> list[Timed]:
    """Time uint8 images [n, H, W, C], one at a time: at least `seconds` and 1,024 runs of each runtime. One that fails keeps its reason.

    assume: metadata for a model that carries none, as `Classifier` takes it.
    """
    timed = [Timed(runtime) for runtime in runtimes]
    with tempfile.TemporaryDirectory(prefix="edge_runtime-") as folder, contextlib.ExitStack() as stack:
        file = Path(folder) / "images.npy"
        np.save(file, images[:TIMED_IMAGES])
        common = {"images": str(file), "threads": threads, "sha256": sha256}
        workers = {}
        for one in timed:
            tell(f"{one.runtime}: cold start, then warming up")
            try:
                one.cold = run_in_subprocess({"job": "cold", "model": str(model), "assume": assume, **common}, one.runtime)
                job = {"job": "time", "models": [str(model)], "assume": [assume], **common, "runtime": one.runtime}
                worker = stack.enter_context(Worker(job))
                one.facts = worker.receive()["models"][0]
                workers[one.runtime] = worker
            except RuntimeProblem as error:
                one.problem = str(error)
        tell("timing")
        _take_turns([one for one in timed if not one.problem], workers, seconds)
    return timed


def _take_turns(timed: list[Timed], workers: dict[str, Worker], seconds: float) -> None:
    """Rounds in random order, one block of each, until every one has its samples and its seconds."""
    order = np.random.default_rng(0)
    while any(len(one.predict_ns) < MIN_SAMPLES or sum(one.predict_ns) < seconds * 1e9 for one in timed):
        for index in order.permutation(len(timed)):
            one = timed[index]
            try:
                workers[one.runtime].send({"model": 0, "runs": block_runs(one.predict_ns[-MIN_BLOCK_RUNS:])})
                answer = workers[one.runtime].receive()
            except RuntimeProblem as error:
                one.problem = str(error)
                continue
            one.invoke_ns += answer["invoke_ns"]
            one.predict_ns += answer["predict_ns"]
        timed = [one for one in timed if not one.problem]


def in_threads(count: int) -> str:
    """ "1 thread", "2 threads": as every report says it."""
    return "1 thread" if count == 1 else f"{count} threads"


def as_line(one: Timed) -> str:
    """One runtime for a reader."""
    if one.problem:
        return f"{one.runtime}: {one.problem}"
    scopes = (("predict", one.predict_ns), ("invoke", one.invoke_ns))
    times = "; ".join(f"{scope} " + ", ".join(f"{name} {us:.1f}" for name, us in percentiles(samples).items()) for scope, samples in scopes)
    start = " + ".join(f"{one.cold[f'{name}_ns'] / 1e6:.1f}" for name in ("import", "load", "first"))
    facts = f"{one.facts['runtime']} {one.facts['runtime_version']}, {one.facts['delegate']}, {in_threads(one.facts['threads'])}"
    return f"{facts}: {times} µs of {len(one.predict_ns)} runs; start {start} ms (import, load, first image)"
