"""Golden vectors: a few chosen images with the answers an artifact gave when it was made.

On the device they tell within a second whether this runtime, on this processor, still answers alike. Kernels may round differently
(by steps, never by labels on clear images), so outputs are compared with a tolerance, for each runtime and its kernels.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_runtime.arrays import read_npz
from edge_runtime.classifier import Classifier
from edge_runtime.errors import InputError

COUNT = 64
_RESERVED = 2  # of them for the smallest and the largest output, however many flips there are
# Two kernel families differ by single against double rounding (LiteRT#7441), more on another processor than between the kernels at hand:
# so many steps (of 256 over the output's range), or shares of the range for a network in float, and twice what was seen when it was made.
LEAST_STEPS = 3
LEAST_FLOAT_SHARE = 1e-3
_SEEN_FACTOR = 2


@dataclass(frozen=True)
class GoldenVectors:
    """images uint8 [n, H, W, C], labels int64 [n]; by artifact file name the raw outputs [n, classes] and, by "runtime/kernels", how far
    from them that runtime may answer (a share of the outputs' range, as `distance` gives it)."""

    images: np.ndarray
    labels: np.ndarray
    outputs: dict[str, np.ndarray]
    tolerance: dict[str, dict[str, float]]

    @classmethod
    def of(cls, images: np.ndarray, labels: np.ndarray, answered: Mapping[str, Mapping[str, np.ndarray]]) -> GoldenVectors:
        """From the raw outputs of each artifact on each "runtime/kernels" that ran here; the first of them are the expected ones."""
        outputs, tolerance = {}, {}
        for artifact, answers in answered.items():
            outputs[artifact] = expected = next(iter(answers.values()))
            tolerance[artifact] = {place: _least(artifact) + _SEEN_FACTOR * distance(expected, got) for place, got in answers.items()}
        return cls(images, labels, outputs, tolerance)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """What the `.golden.npz` beside the artifacts holds."""
        outputs = {f"outputs/{name}": self.outputs[name] for name in sorted(self.outputs)}
        return {"images": self.images, "labels": self.labels, "tolerance": np.array(json.dumps(self.tolerance)), **outputs}

    @classmethod
    def load(cls, path: Path) -> GoldenVectors:
        arrays = read_npz(path, "export the model again, it writes the golden vectors too")
        if not {"images", "labels", "tolerance"} <= set(arrays):
            raise InputError(f"{path} holds no golden vectors: give the .golden.npz beside the model.")
        outputs = {name.removeprefix("outputs/"): values for name, values in arrays.items() if name.startswith("outputs/")}
        try:
            tolerance = json.loads(str(arrays["tolerance"]))
        except ValueError as error:
            raise InputError(f"{path} is damaged ({error}): export the model again, it writes the golden vectors too.") from None
        return cls(arrays["images"], arrays["labels"], outputs, tolerance)

    def tolerated(self, artifact: str, runtime: str, kernels: str) -> float:
        """For a runtime or kernels that were not there when it was made: the widest of those that were."""
        known = self.tolerance[artifact]
        return known.get(f"{runtime}/{kernels}", max(known.values()))


def _least(artifact: str) -> float:
    return LEAST_FLOAT_SHARE if Path(artifact).stem.endswith(("float32", "float16")) else LEAST_STEPS / 255


def distance(expected: np.ndarray, got: np.ndarray) -> float:
    """Largest difference of two outputs, as a share of the range the expected ones take."""
    difference = np.abs(got.astype(np.float64) - expected.astype(np.float64)).max()
    return float(difference / max(float(np.ptp(expected.astype(np.float64))), 1e-12))


def choose_golden(
    images: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, answers: Sequence[np.ndarray] = (), count: int = COUNT
) -> np.ndarray:
    """Indices of the `count` images most likely to betray a fault.

    First every flip (an export answers otherwise than the baseline; those of most exports first, up to two less than `count`); then the
    images at which outputs and pixels are extreme; then the least certain ones, an equal share of each class.
    images uint8 [N, H, W, C], labels int64 [N], probabilities [N, classes] of the baseline, answers: outputs [N, classes] of every other
    form of the model. Returns int64 [<= count], sorted.
    """
    top_two = np.sort(probabilities, axis=1)[:, -2:]
    margin = top_two[:, 1] - top_two[:, 0]
    flips = np.sum([answer.argmax(axis=1) != probabilities.argmax(axis=1) for answer in answers], axis=0) if answers else np.zeros(len(labels))
    flipped = [index for index in np.lexsort((margin, -flips)) if flips[index]]
    order = [*flipped[: count - _RESERVED], *_extremes(images, answers), *_uncertain(margin, labels)]
    return np.sort(np.array(list(dict.fromkeys(int(index) for index in order))[:count], np.int64))


def _extremes(images: np.ndarray, answers: Sequence[np.ndarray]) -> list[int]:
    """The images of the smallest and the largest output of each form, then the darkest, the brightest, the least and the most contrasted."""
    pixels = images.reshape(len(images), -1)
    measures = [(pixels.mean(axis=1),) * 2, (pixels.std(axis=1),) * 2]
    measures = [*((answer.min(axis=1), answer.max(axis=1)) for answer in answers), *measures]
    return [int(index) for lowest, highest in measures for index in (lowest.argmin(), highest.argmax())]


def _uncertain(margin: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """All images, the least certain first, classes in turn."""
    rank_in_class = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        rank_in_class[members[np.argsort(margin[members], kind="stable")]] = np.arange(len(members))
    return np.lexsort((margin, rank_in_class))


@dataclass(frozen=True)
class SelfTest:
    """How far a runtime's answers lie from the golden ones; both figures are shares of the outputs' range."""

    images: int
    labels_differing: int
    largest_difference: float
    tolerance: float

    @property
    def passed(self) -> bool:
        return self.largest_difference <= self.tolerance


def self_test(classifier: Classifier, golden: GoldenVectors, artifact: str) -> SelfTest:
    """Run the golden images and compare; InputError when the file holds no answers for this artifact."""
    if artifact not in golden.outputs:
        raise InputError(f"The golden vectors hold no outputs of {artifact}: export it again.")
    expected, got = golden.outputs[artifact], classifier.predict(golden.images).outputs
    differing = int((got.argmax(axis=1) != expected.argmax(axis=1)).sum())
    tolerance = golden.tolerated(artifact, classifier.model.runtime, classifier.model.kernels)
    return SelfTest(len(expected), differing, distance(expected, got), tolerance)
