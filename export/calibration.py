"""The calibration set: which training images give the converter its activation ranges, and proof that it was those."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

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

    def to_dict(self) -> dict[str, object]:
        return {"images": len(self.indices), "indices": self.indices.tolist(), "sha256": self.sha256}
