"""Which image is used for what, decided once by a seed and recorded by hash.

fit          trains the weights
selection    chooses the best epoch (early stopping, checkpoints)       } from the training part:
calibration  gives the converter its activation ranges                  } never from validation
validation   for verdicts only
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from edge_runtime.errors import EdgeproofError

VALIDATION_SHARE = 0.2
SELECTION_SHARE = 0.1  # of the training part
CALIBRATION_IMAGES = 500  # TensorFlow's guide asks for 100 to 500 representative samples


@dataclass(frozen=True)
class Split:
    """Indices int64 into the data set. `fit` and `selection` make up the training part; `calibration` is part of `fit`."""

    seed: int
    fit: np.ndarray
    selection: np.ndarray
    calibration: np.ndarray
    validation: np.ndarray

    @property
    def sha256(self) -> dict[str, str]:
        """One digest a part, of its indices as little-endian int64."""
        parts = {"fit": self.fit, "selection": self.selection, "calibration": self.calibration, "validation": self.validation}
        return {name: hashlib.sha256(indices.astype("<i8").tobytes()).hexdigest() for name, indices in parts.items()}


def stratified_split(labels: np.ndarray, seed: int) -> Split:
    """Split 80/20 with every class in the same proportion in each part; the same seed gives the same split.

    labels int64 [N]. On a small data set the validation part holds at least one image of each class.
    """
    from sklearn.model_selection import train_test_split

    everything = np.arange(len(labels))
    training, validation = train_test_split(everything, test_size=VALIDATION_SHARE, stratify=labels, random_state=seed)
    classes = len(np.unique(labels))
    fit, selection = train_test_split(training, test_size=max(SELECTION_SHARE, classes / len(training)), stratify=labels[training], random_state=seed)
    calibration, wanted = fit, max(CALIBRATION_IMAGES, classes)
    if len(fit) >= wanted + classes:  # neither side of a stratified cut may be smaller than the number of classes
        calibration, _ = train_test_split(fit, train_size=wanted, stratify=labels[fit], random_state=seed)
    split = Split(seed, *(np.sort(part) for part in (fit, selection, calibration, validation)))
    _check_disjoint(split, len(labels))
    return split


def _check_disjoint(split: Split, total: int) -> None:
    """Disjointness is checked, not assumed: a leak here would void every verdict."""
    parts = np.concatenate([split.fit, split.selection, split.validation])
    if len(np.unique(parts)) != total or len(parts) != total:
        raise EdgeproofError("The split's parts overlap or lose images: please report this as a bug.")
    if np.intersect1d(split.calibration, np.concatenate([split.validation, split.selection])).size:
        raise EdgeproofError("Calibration images overlap the validation part: please report this as a bug.")
