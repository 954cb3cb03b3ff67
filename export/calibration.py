"""The calibration set: which training images give the converter its activation ranges, and proof that it was those."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_runtime.errors import EdgeproofError
from edge_runtime.preprocess import Preprocessing


@dataclass(frozen=True)
class Calibration:
    """images uint8 [n, H, W, C] at `indices` int64 [n] of the data set."""

    images: np.ndarray
    indices: np.ndarray

    @classmethod
    def choose(cls, images: np.ndarray, indices: np.ndarray, validation: np.ndarray) -> Calibration:
        """Take `indices` of the data set's images. Raises EdgeproofError when one of them is a validation image."""
        if np.intersect1d(indices, validation).size:
            raise EdgeproofError("Calibration images overlap the validation part: run `edgeproof train` again to split anew.")
        return cls(images[indices], indices)

    @property
    def sha256(self) -> str:
        """Of the pixels, in the order in which the converter sees them."""
        return hashlib.sha256(self.images.tobytes()).hexdigest()

    def normalized(self, contract: Preprocessing) -> np.ndarray:
        """float32 [n, H, W, C]: through the same preprocessing as training. Pixels of 0..255 here would silently scale the input by 255."""
        return contract.normalize(self.images)

    def to_dict(self) -> dict[str, Any]:
        return {"images": len(self.indices), "indices": self.indices.tolist(), "sha256": self.sha256}


@dataclass(frozen=True)
class Saturation:
    """How much of what the network computes on images it was not calibrated on lies outside the calibrated ranges, and would be clipped.

    Shares of values, 0..1: of all layers together, and of the layer that clips most.
    """

    share: float
    worst_layer: str
    worst_share: float

    @classmethod
    def of(cls, values: Mapping[str, np.ndarray], ranges: Mapping[str, tuple[float, float]]) -> Saturation:
        """values: float outputs of the network by layer; ranges: (min, max) by layer, for those that have one (the others pass theirs on).

        A value within half a step of 256 beyond an end rounds to that end: nothing is lost.
        """
        clipped, counts = {}, {}
        for layer in ranges.keys() & values.keys():
            low, high = ranges[layer]
            half_step = (high - low) / 510
            clipped[layer] = int(((values[layer] < low - half_step) | (values[layer] > high + half_step)).sum())
            counts[layer] = values[layer].size
        worst = max(sorted(clipped), key=lambda layer: clipped[layer] / counts[layer])
        return cls(sum(clipped.values()) / sum(counts.values()), worst, clipped[worst] / counts[worst])
