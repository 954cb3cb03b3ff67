"""What one image costs through Classifier, against the interpreter's own calls on the same bytes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.statistics import ratio_interval
from edge_runtime.classifier import Classifier
from edge_runtime.collection import no_collection
from edge_runtime.interpreter import find_runtime, import_runtime
from edgeproof.workspace import Workspace
from evidence.alone import timed_alone
from evidence.findings import Finding, Places

SLOWEST_TO_BARE = 1.10
MOST_US, MOST_WITH_PROBABILITIES_US = 3.0, 8.0
ROUNDS, BLOCK_RUNS, REFILL_RUNS, WARM_UP_ROUNDS = 200, 60, 5, 20
IMAGES = 200
FAST = "tflite-int8"  # its pixels need one bit flipped
FORMATS = (FAST, "tflite-float32", "onnx-float32", "onnx-int8")


@dataclass(frozen=True)
class Blocks:
    """Median nanoseconds of each block [rounds], one block of each way in each round."""

    format: str
    runtime: str
    bare: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray

    @property
    def ratio(self) -> tuple[float, float, float]:
        return ratio_interval(self.labels, self.bare)

    def extra_us(self, way: np.ndarray) -> float:
        return float(np.median(way - self.bare)) / 1e3


def prove(places: Places) -> list[Finding]:
    command = places.command("fast-path")
    measured = {name: measure(workspace, FORMATS, ROUNDS) for name, workspace in places.workspaces.items()}
    return [
        seed_ratio([blocks for blocks in measured["seed"] if blocks.format == FAST], "tflite-int8", command),
        seed_ratio([blocks for blocks in measured["seed"] if blocks.format != FAST], "float32 and ONNX", command),
        *compact_extra(measured["compact"], command),
    ]


def measure(workspace: Workspace, formats: Sequence[str], rounds: int) -> list[Blocks]:
    """Each format on each runtime that opens it, in a process of its own."""
    return [Blocks(format, runtime, *ways) for format, runtime, ways in timed_alone(__name__, workspace, formats, rounds, IMAGES)]


def measure_here(model: str, runtime: str, images_file: str, rounds: str) -> None:
    """Prints a JSON list [rounds, 3] of the blocks' medians in nanoseconds: bare, to labels, to probabilities."""
    images = np.load(images_file)
    classifier = Classifier.load(model, runtime)
    pictures = [images[index : index + 1] for index in range(len(images))]
    encoded = [classifier.encode(picture).copy() for picture in pictures]
    ways: list[tuple[Callable[[np.ndarray], Any], list[np.ndarray]]] = [
        (bare_call(Path(model).read_bytes(), runtime), encoded),
        (lambda picture: classifier.predict(picture).labels, pictures),
        (lambda picture: classifier.predict(picture).probabilities, pictures),
    ]
    with no_collection():
        for _ in range(WARM_UP_ROUNDS):
            _round(ways)
        print(json.dumps([_round(ways) for _ in range(int(rounds))]))


def _round(ways: list[tuple[Callable[[np.ndarray], Any], list[np.ndarray]]]) -> list[float]:
    return [_block(call, inputs) for call, inputs in ways]


def _block(call: Callable[[np.ndarray], Any], inputs: list[np.ndarray]) -> float:
    samples = np.empty(BLOCK_RUNS, np.int64)
    clock = time.perf_counter_ns
    for run in range(-REFILL_RUNS, BLOCK_RUNS):
        given = inputs[run % len(inputs)]
        begin = clock()
        call(given)
        end = clock()
        if run >= 0:
            samples[run] = end - begin
    return float(np.median(samples))


def bare_call(model: bytes, runtime: str) -> Callable[[np.ndarray], Any]:
    """What somebody writes who uses the interpreter as its manual says: from the input tensor to the output tensor, one thread."""
    module = import_runtime(find_runtime(runtime))
    if runtime == "onnxruntime":
        options = module.SessionOptions()
        options.intra_op_num_threads = 1
        session = module.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        return lambda given: session.run(None, {name: given})[0]
    interpreter = module.Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    first, last = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def call(given: np.ndarray) -> Any:
        interpreter.set_tensor(first, given)
        interpreter.invoke()
        return interpreter.get_tensor(last)

    return call


def seed_ratio(measured: Sequence[Blocks], which: str, command: str) -> Finding:
    worst = max(blocks.ratio[0] for blocks in measured)
    figures = "; ".join(f"{_place(blocks)} {blocks.ratio[0]:.3f} ({blocks.ratio[1]:.3f} to {blocks.ratio[2]:.3f})" for blocks in measured)
    return Finding(
        f"seed, {which}: one image to .labels against the bare calls on the same runtime",
        f"≤ {SLOWEST_TO_BARE:.2f} times",
        f"{figures}; {_method(measured[0])}, 99 % interval",
        worst <= SLOWEST_TO_BARE,
        command,
    )


def compact_extra(measured: Sequence[Blocks], command: str) -> list[Finding]:
    """The target is for the bit flip; the other formats' figures stand beside it."""
    findings = []
    for what, target in (("labels", MOST_US), ("probabilities", MOST_WITH_PROBABILITIES_US)):
        extra = {_place(blocks): (blocks.format, blocks.extra_us(getattr(blocks, what))) for blocks in measured}
        fast = {place: us for place, (format, us) in extra.items() if format == FAST}
        others = ", ".join(f"{place} {us:.1f}" for place, (format, us) in extra.items() if format != FAST)
        figure = ", ".join(f"{place} {us:.1f} µs" for place, us in fast.items()) + f"; for comparison {others} µs; {_method(measured[0])}"
        claim = f"compact, {FAST}: one image to .{what}, beyond the bare calls on the same runtime"
        findings.append(Finding(claim, f"≤ {target:g} µs", figure, max(fast.values()) <= target, command))
    return findings


def _place(blocks: Blocks) -> str:
    return f"{blocks.format} on {blocks.runtime}"


def _method(blocks: Blocks) -> str:
    return f"medians of {len(blocks.bare)} interleaved blocks of {BLOCK_RUNS} runs"
