"""Everything measured runs as a job, in a process of its own with one runtime in it.

A job is a small JSON object plus `.npy` arrays; its answer is JSON plus `.npy`. Worker and parent speak JSON lines over the worker's
stdin and stdout, so that the same worker serves a subprocess here, a simulated board and a real board behind SSH:

    parent -> worker   the job, one line; for `time` then one line a turn, and end of file to stop
    worker -> parent   {"event": "progress" | "ready" | "samples" | "result" | "error", ...}

A crash in an interpreter stays in its process and becomes one sentence.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from edge_runtime import board
from edge_runtime.classifier import Classifier
from edge_runtime.counting import SCOPES, count_windows
from edge_runtime.errors import EdgeproofError, InputError, UnsupportedModelError, unknown_name
from edge_runtime.golden import GoldenVectors, self_test
from edge_runtime.inspection import record_tensors
from edge_runtime.interpreter import OpenModel, find_runtime, import_runtime, open_model, read_model_file
from edge_runtime.onnx_model import write_optimized
from edge_runtime.parts import count_parts, time_parts
from edge_runtime.timing import TimedModel, clock_tick_ns, peak_memory_bytes
from edge_runtime.turns import Turns

Job = Mapping[str, Any]
Message = dict[str, Any]
Emit = Callable[[Message], None]

# The fields of a job that name files (or lists of files): a target that is not this machine carries the first there and the others back.
INPUT_FILES = ("model", "models", "images", "golden")
OUTPUT_FILES = ("outputs",)

SHARD_IMAGES = 50  # few enough that the slowest board (an emulated one, with a large network) is heard of before it is given up
TELL_SECONDS = 0.2


def predict_job(job: Job, emit: Emit, turns: Iterator[Job]) -> Message:
    """{model, images.npy, outputs.npy}: raw outputs of every image, in order; with "limit", of the first so many."""
    classifier = _open(job)
    images = np.load(job["images"], mmap_mode="r")[: job.get("limit")]
    shards = np.array_split(images, max(1, len(images) // SHARD_IMAGES))
    outputs, done = [], 0
    begin = time.perf_counter()
    told = begin - TELL_SECONDS  # the first shard tells at once
    for shard in shards:
        outputs.append(classifier.predict(shard).outputs)
        done += len(shard)
        if done == len(images) or time.perf_counter() - told >= TELL_SECONDS:
            told = time.perf_counter()
            emit({"event": "progress", "done": done, "total": len(images)})
    seconds = time.perf_counter() - begin
    np.save(job["outputs"], np.concatenate(outputs))
    quantization = classifier.model.output.quantization
    return {
        **describe(classifier),
        "seconds": seconds,
        "output": classifier.metadata.output,
        "quantization": asdict(quantization) if quantization else None,
    }


def time_job(job: Job, emit: Emit, turns: Iterator[Job]) -> Message:
    """{models: [...], assume: [...], images.npy}: opens and warms all models, then serves one block a turn.

    A turn is {"model": index, "runs": n}, with "rate_hz" if they are to be paced, or with "scope": "pipeline". See `edge_runtime.turns`.
    """
    images = np.load(job["images"], mmap_mode="r")
    timed = []
    for model, assume in zip(job["models"], job.get("assume") or [None] * len(job["models"]), strict=True):
        classifier = _open(job, model, assume)
        timed.append(TimedModel(classifier, np.ascontiguousarray(classifier.metadata.preprocessing.as_batch(images))))
        timed[-1].warm_up()
    emit({"event": "ready", "models": [describe(model.classifier) for model in timed], "tick_ns": clock_tick_ns()})
    served = Turns(timed)
    for turn in turns:
        emit({"event": "samples", **served.serve(turn)})
    return {}


def count_job(job: Job, emit: Emit, turns: Iterator[Job]) -> Message:
    """{models: [...], assume: [...], images.npy, runs}: each model in turn, between marks that an emulator sees; see `edge_runtime.counting`."""
    images = np.load(job["images"])
    found: list[Message] = []
    for index, (model, assume) in enumerate(zip(job["models"], job["assume"], strict=True)):
        emit({"event": "progress", "done": index, "total": len(job["models"])})
        try:
            classifier = _open(job, model, assume)
        except UnsupportedModelError as error:  # the others can still be counted
            found.append({"reason": str(error)})
            continue
        batch = classifier.metadata.preprocessing.as_batch(images)
        windows = count_windows(classifier, batch, 1 + index * len(SCOPES), job["runs"])
        found.append({**describe(classifier), "reason": "", "windows": windows})
    return {"models": found}


def optimized_job(job: Job, emit: Emit, turns: Iterator[Job]) -> Message:
    """{model, outputs}: the graph that ONNX Runtime makes of the model here, written as a model."""
    runtime = find_runtime(job["runtime"])
    write_optimized(import_runtime(runtime), read_model_file(Path(job["model"])), job["outputs"])
    return {"runtime_version": runtime.version}


def parts_job(job: Job, emit: Emit, turns: Iterator[Job]) -> Message:
    """{model, models: [its prefixes], images.npy, and either runs or seconds}: windows or times of each; see `edge_runtime.parts`."""
    whole = _open(job)
    batch = np.ascontiguousarray(whole.metadata.preprocessing.as_batch(np.load(job["images"])))

    def open_part(name: str) -> OpenModel:
        return open_model(name, runtime=job["runtime"], threads=job.get("threads", 1), part=True)

    def tell(share: float) -> None:
        emit({"event": "progress", "done": int(1000 * share), "total": 1000})

    run = partial(count_parts, runs=job["runs"]) if "runs" in job else partial(time_parts, seconds=job["seconds"])
    return {**describe(whole), **run(whole, job["models"], open_part, batch, tell=tell)._asdict()}


def cold_job(job: Job, emit: Emit, turns: Iterator[Job]) -> Message:
    """{model, images.npy}: what a fresh process pays: importing the runtime, opening the model, first run, peak memory."""
    image = np.load(job["images"], mmap_mode="r")[:1]
    start = time.perf_counter_ns()
    import_runtime(find_runtime(job["runtime"]))
    begin = time.perf_counter_ns()
    classifier = _open(job)
    loaded = time.perf_counter_ns()
    classifier.predict(image)
    first = time.perf_counter_ns()
    return {
        **describe(classifier),
        "import_ns": begin - start,
        "load_ns": loaded - begin,
        "first_ns": first - loaded,
        "peak_memory_bytes": peak_memory_bytes(),
    }


def selftest_job(job: Job, emit: Emit, turns: Iterator[Job]) -> Message:
    """{model, golden.npz}: do the golden vectors still come out alike here?"""
    classifier = _open(job)
    outcome = self_test(classifier, GoldenVectors.load(Path(job["golden"])), Path(job["model"]).name)
    return {**describe(classifier), **asdict(outcome), "passed": outcome.passed}


def tensors_job(job: Job, emit: Emit, turns: Iterator[Job]) -> Message:
    """{model, images.npy, outputs.npz}: what every operator wrote; see `edge_runtime.inspection`."""
    classifier = _open(job, keep_tensors=True)
    return {**describe(classifier), "output": classifier.metadata.output, **record_tensors(classifier, np.load(job["images"]), Path(job["outputs"]))}


def doctor_job(job: Job, emit: Emit, turns: Iterator[Job]) -> Message:
    """{} or {model}: does this runtime import here, which version is it, and does it run the model once?"""
    runtime = find_runtime(job["runtime"])
    import_runtime(runtime)
    answer = {
        "runtime": runtime.name,
        "runtime_version": runtime.version,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
    }
    if "model" not in job:
        return answer
    classifier = _open(job)
    classifier.predict(np.zeros((1, *classifier.metadata.preprocessing.shape), np.uint8))
    return {**answer, **describe(classifier)}


def board_job(job: Job, emit: Emit, turns: Iterator[Job]) -> Message:
    """{}: what this machine is and how it stands; then one reading a turn, and a last one. See `edge_runtime.board`."""
    emit({"event": "board", "host": board.host_facts(), "board": board.board_facts(), "before": board.full_reading()})
    for _ in turns:
        emit({"event": "reading", "reading": board.reading()})
    return {"reading": board.full_reading()}


JOBS: dict[str, Callable[[Job, Emit, Iterator[Job]], Message]] = {
    "predict": predict_job,
    "time": time_job,
    "count": count_job,
    "optimized": optimized_job,
    "parts": parts_job,
    "cold": cold_job,
    "selftest": selftest_job,
    "tensors": tensors_job,
    "doctor": doctor_job,
    "board": board_job,
}


def describe(classifier: Classifier) -> Message:
    """Which program answered: recorded beside every number."""
    model = classifier.model
    return {
        "runtime": model.runtime,
        "runtime_version": model.runtime_version,
        "kernels": model.kernels,
        "threads": model.threads,
        "delegate": model.delegate,
    }


def _open(job: Job, model: str | None = None, assume: Mapping[str, Any] | None = None, *, keep_tensors: bool = False) -> Classifier:
    """The job's model; in a job of several, the one that is named, with what is assumed of it."""
    if model is None:
        model, assume = job["model"], job.get("assume")
    options = {"kernels": job.get("kernels", "default"), "threads": job.get("threads", 1), "keep_tensors": keep_tensors}
    return Classifier(open_model(model, runtime=job["runtime"], sha256=job.get("sha256"), **options), assume)


class _Fields(dict[str, Any]):
    """A job or a turn, which says what it lacks."""

    @classmethod
    def of(cls, line: str) -> _Fields:
        fields = json.loads(line)
        if not isinstance(fields, dict):
            raise InputError("A job is one line of JSON, an object.")
        return cls(fields)

    def __missing__(self, name: str) -> Any:
        of_job = f" {self['job']!r}" if "job" in self else ", in each of its turns,"
        raise InputError(f"The job{of_job} needs a field {name!r}.")


def serve_job(stdin: IO[str] = sys.stdin) -> int:
    """The worker: one job from stdin, answers on the original stdout. Returns the exit code."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # an interpreter that prints must not break the protocol

    def emit(message: Message) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    try:
        job = _Fields.of(stdin.readline())
        if job.get("job") not in JOBS:
            raise unknown_name("job", str(job.get("job")), JOBS)
        emit({"event": "result", **JOBS[job["job"]](job, emit, (_Fields.of(line) for line in stdin))})
    except json.JSONDecodeError as error:
        emit({"event": "error", "kind": InputError.__name__, "message": f"A job is one line of JSON ({error})."})
        return 2
    except EdgeproofError as error:
        emit({"event": "error", "kind": type(error).__name__, "message": str(error)})
        return 2
    except BrokenPipeError:
        return 1
    return 0
