"""Golden vectors: a few chosen images with the answers an artifact gave when it was made.

On the device they tell within a second whether this runtime, on this processor, still answers alike. Kernels may round differently
(by steps, never by labels on clear images), so outputs are compared with a tolerance in output steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_runtime.arrays import read_npz
from edge_runtime.classifier import Classifier
from edge_runtime.errors import InputError

COUNT = 64
# Kernel families differ by up to 5 steps of an int8 output (single against double rounding, LiteRT#7441); 8 leaves room for new ones.
TOLERANCE_STEPS = 8
TOLERANCE_FLOAT = 1e-3  # of the output's range, for float outputs


@dataclass(frozen=True)
class GoldenVectors:
    """images uint8 [n, H, W, C], labels int64 [n], and by artifact file name the raw outputs [n, classes]."""

    images: np.ndarray
    labels: np.ndarray
    outputs: dict[str, np.ndarray]

    def to_arrays(self) -> dict[str, np.ndarray]:
        """What the `.golden.npz` beside the artifacts holds."""
        return {"images": self.images, "labels": self.labels, **{f"outputs/{name}": self.outputs[name] for name in sorted(self.outputs)}}

    @classmethod
    def load(cls, path: Path) -> GoldenVectors:
        arrays = read_npz(path, "export the model again, it writes the golden vectors too")
        if not {"images", "labels"} <= set(arrays):
            raise InputError(f"{path} holds no golden vectors: give the .golden.npz beside the model.")
        outputs = {name.removeprefix("outputs/"): values for name, values in arrays.items() if name.startswith("outputs/")}
        return cls(arrays["images"], arrays["labels"], outputs)


def choose_golden(probabilities: np.ndarray, labels: np.ndarray, count: int = COUNT) -> np.ndarray:
    """Indices of the `count` images most likely to betray a fault: the least certain, an equal share of each class.

    probabilities float32 [N, classes] of the baseline, labels int64 [N]. Returns int64 [<= count], sorted.
    """
    top_two = np.sort(probabilities, axis=1)[:, -2:]
    margin = top_two[:, 1] - top_two[:, 0]
    rank_in_class = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        rank_in_class[members[np.argsort(margin[members], kind="stable")]] = np.arange(len(members))
    return np.sort(np.lexsort((margin, rank_in_class))[:count])


@dataclass(frozen=True)
class SelfTest:
    """How far a runtime's answers lie from the golden ones."""

    images: int
    labels_differing: int
    largest_difference: float  # output steps for quantized outputs, share of the output range for float ones
    passed: bool


def self_test(classifier: Classifier, golden: GoldenVectors, artifact: str) -> SelfTest:
    """Run the golden images and compare; InputError when the file holds no answers for this artifact."""
    if artifact not in golden.outputs:
        raise InputError(f"The golden vectors hold no outputs of {artifact}: export it again.")
    expected = golden.outputs[artifact]
    got = classifier.predict(golden.images).outputs
    difference = np.abs(got.astype(np.float64) - expected.astype(np.float64)).max()
    if np.issubdtype(expected.dtype, np.floating):
        difference, tolerance = difference / max(float(np.ptp(expected)), 1e-12), TOLERANCE_FLOAT
    else:
        tolerance = TOLERANCE_STEPS
    differing = int((got.argmax(axis=1) != expected.argmax(axis=1)).sum())
    return SelfTest(len(expected), differing, float(difference), bool(difference <= tolerance))
