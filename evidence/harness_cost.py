"""What the measuring loop adds to what it measures: scope `predict` against a loop that somebody writes by hand with the same interpreter."""

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
from edge_runtime.timing import REFILL_RUNS, TIMED_IMAGES, TimedModel
from edgeproof.workspace import Workspace
from evidence.alone import timed_alone
from evidence.fast_path import bare_call
from evidence.findings import Finding, Places

MOST_TO_HAND = 1.03
ROUNDS, BLOCK_RUNS, WARM_UP_ROUNDS = 150, 60, 10
FORMATS = ("tflite-int8", "tflite-float32", "onnx-int8", "onnx-float32")


@dataclass(frozen=True)
class Cost:
    """One format on one runtime: harness / by hand, with its 99 % interval, and microseconds by hand."""

    format: str
    runtime: str
    ratio: float
    low: float
    high: float
    hand_us: float


def prove(places: Places) -> list[Finding]:
    command = places.command("harness-cost")
    return [finding(name, measure(workspace, FORMATS, ROUNDS), command) for name, workspace in places.workspaces.items()]


def measure(workspace: Workspace, formats: Sequence[str], rounds: int) -> list[Cost]:
    """Each format on each runtime that opens it, in a process of its own."""
    found = timed_alone(__name__, workspace, formats, rounds, TIMED_IMAGES)
    return [Cost(format, runtime, *ratio_interval(harness, hand), float(np.median(hand)) / 1e3) for format, runtime, (harness, hand) in found]


def measure_here(model: str, runtime: str, images_file: str, rounds: str) -> None:
    """Prints a JSON list [rounds, 2] of the blocks' medians in nanoseconds: harness, by hand; in turns, either first."""
    images = np.load(images_file)
    classifier = Classifier.load(model, runtime)
    harness, call = TimedModel(classifier, images), bare_call(Path(model).read_bytes(), runtime)
    given = _by_hand(classifier.model.input.dtype)
    found = []
    for number in range(-WARM_UP_ROUNDS, int(rounds)):
        ways: list[Callable[[], float]] = [
            lambda: float(np.median(harness.block(BLOCK_RUNS)[1])),
            lambda: _hand_block(call, given, images),
        ]
        medians = {way: ways[way]() for way in ((0, 1) if number % 2 else (1, 0))}
        if number >= 0:
            found.append([medians[0], medians[1]])
    print(json.dumps(found))


def _by_hand(dtype: str) -> Callable[[np.ndarray], np.ndarray]:
    """From uint8 pixels to the model's input, as one writes it who knows that the digits use x/255 and int8 input of scale 1/255."""
    if dtype == "int8":
        return lambda image: (image ^ 0x80).view(np.int8)
    table = np.arange(256, dtype=np.float32) * np.float32(1 / 255)
    return lambda image: table.take(image)


def _hand_block(call: Callable[[np.ndarray], Any], given: Callable[[np.ndarray], np.ndarray], images: np.ndarray) -> float:
    samples = np.empty(BLOCK_RUNS, np.int64)
    clock = time.perf_counter_ns
    with no_collection():
        for run in range(-REFILL_RUNS, BLOCK_RUNS):
            index = run % len(images)
            image = images[index : index + 1]
            begin = clock()
            call(given(image)).argmax()
            end = clock()
            if run >= 0:
                samples[run] = end - begin
    return float(np.median(samples))


def finding(name: str, measured: Sequence[Cost], command: str) -> Finding:
    figures = "; ".join(
        f"{cost.format} on {cost.runtime} {cost.ratio:.3f} ({cost.low:.3f} to {cost.high:.3f}) of {cost.hand_us:.1f} µs" for cost in measured
    )
    return Finding(
        f"{name}: scope `predict` of the measuring loop against a hand-written loop on the same runtime",
        f"≤ {MOST_TO_HAND} times",
        f"{figures}; medians of {ROUNDS} interleaved blocks of {BLOCK_RUNS} runs, 99 % interval",
        max(cost.ratio for cost in measured) <= MOST_TO_HAND,
        command,
    )
