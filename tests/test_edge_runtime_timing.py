"""The measuring loop records what it promises and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_runtime.classifier import Classifier
from edge_runtime.timing import REFILL_RUNS, WARM_UP_RUNS, TimedModel


def timed(model: Path, images: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> tuple[TimedModel, list[int]]:
    """A model to time, and a list that grows by the sum of each picture it is given."""
    classifier, seen = Classifier.load(model), []
    encode = classifier.encode
    monkeypatch.setattr(classifier, "encode", lambda image: (seen.append(int(image.sum())), encode(image))[1])
    return TimedModel(classifier, images), seen


@pytest.mark.parametrize("runs", [1, 7])
def test_a_block_runs_unrecorded_first_and_returns_exactly_what_was_asked(
    tiny_artifacts: dict[str, Path], tiny_images: np.ndarray, monkeypatch: pytest.MonkeyPatch, runs: int
) -> None:
    model, seen = timed(tiny_artifacts["onnx-float32"], tiny_images[:4], monkeypatch)
    invoke, predict = model.block(runs)
    assert invoke.shape == predict.shape == (runs,)
    assert (invoke > 0).all()
    assert (invoke <= predict).all()
    sums = tiny_images[:4].sum(axis=(1, 2, 3))
    assert seen == [sums[index % 4] for index in range(REFILL_RUNS + runs)], "real pictures in rotation"


def test_a_slow_start_of_a_block_is_not_recorded(tiny_artifacts: dict[str, Path], tiny_images: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = timed(tiny_artifacts["onnx-float32"], tiny_images, monkeypatch)
    clock = iter(range(0, 10**9, 10))
    slow = {4 * run: 10**6 for run in range(REFILL_RUNS)}
    readings = iter([reading + slow.get(index, 0) for index, reading in enumerate(next(clock) for _ in range(4 * (REFILL_RUNS + 3)))])
    monkeypatch.setattr("edge_runtime.timing.time.perf_counter_ns", lambda: next(readings))
    invoke, predict = model.block(3)
    assert invoke.tolist() == [10, 10, 10]
    assert predict.tolist() == [30, 30, 30]


def test_warming_up_counts_every_run(tiny_artifacts: dict[str, Path], tiny_images: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    model, seen = timed(tiny_artifacts["onnx-float32"], tiny_images, monkeypatch)
    assert model.warm_up() == len(seen) >= WARM_UP_RUNS
