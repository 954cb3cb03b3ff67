"""What a counted run does: the same inferences again and again, with a mark before and after, for whoever counts instructions from outside.

A mark is a system call that fails and changes nothing: `lseek` on no file, to an offset no file has. On a simulated board a plugin of the
emulator sees it (benchmarks/targets/blocks.c) and writes down what was executed since the last one; elsewhere nothing happens.

Each counted window holds RUNS inferences between two marks. One that holds none tells what the marks and the loop themselves cost.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

import numpy as np

from edge_runtime.classifier import Classifier
from edge_runtime.collection import no_collection

MARK = 0x65646765000000  # as in blocks.c; the lowest three bytes are the window's number, 0 to begin one
WARM_UP_RUNS = 20  # until the Python interpreter has specialized its bytecode, and an allocator its sizes
RUNS = 20
SCOPES = ("empty", "predict", "invoke")

Step = Callable[[np.ndarray], object]


def mark(window: int) -> None:
    """Begin a window (0), or end the one that was begun, giving it a number."""
    with contextlib.suppress(OSError):
        os.lseek(-1, MARK | window, os.SEEK_SET)


def count_windows(classifier: Classifier, images: np.ndarray, first: int, runs: int = RUNS, mark: Callable[[int], None] = mark) -> dict[str, int]:
    """Run windows of `runs` inferences each on uint8 images [N, H, W, C] in rotation, numbered from `first`; the number of each scope's.

    "empty": marks and loop alone. "predict": encode, run, take the label, as `edge_runtime.timing` does. "invoke": the interpreter alone.
    mark: another way to tell where a window begins (0) and ends.
    """
    model, encode = classifier.model, classifier.encode
    rotation = [images[index % len(images)][np.newaxis] for index in range(runs)]

    def nothing(image: np.ndarray) -> None:
        pass

    def predict(image: np.ndarray) -> None:
        model.set_input(encode(image))
        model.invoke()
        model.get_output().argmax()

    def invoke(image: np.ndarray) -> None:
        model.invoke()

    numbers = {scope: first + index for index, scope in enumerate(SCOPES)}
    with no_collection():
        for scope, step in zip(SCOPES, (nothing, predict, invoke), strict=True):
            _window(step, rotation[:1] * WARM_UP_RUNS, 0, mark)
            _window(step, rotation, numbers[scope], mark)
    return numbers


def count_invokes(invoke: Callable[[], None], number: int, runs: int, warm_up: int = WARM_UP_RUNS) -> None:
    """A window of runs of the interpreter alone, on the input it was given."""

    def step(image: np.ndarray) -> None:
        invoke()

    nothing = [np.empty(0)]
    with no_collection():
        _window(step, nothing * warm_up, 0, mark)
        _window(step, nothing * runs, number, mark)


def _window(step: Step, images: list[np.ndarray], number: int, mark: Callable[[int], None]) -> None:
    mark(0)
    for image in images:
        step(image)
    mark(number)
