"""The scope `pipeline`: from an encoded picture in memory to its label, which is what a program pays that is handed pictures.

Decode, turn upright, resize, the preprocessing contract, predict: all of it through the same code as `classify`. The pictures are the images
that the other scopes are timed with, as PNG of twice the model's size, so that there is something to resize. A model's way of finding ink in a
photo is no part of it: that is a search, and takes as long as the photo is large.
"""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from edge_runtime.classifier import Classifier
from edge_runtime.collection import no_collection
from edge_runtime.pictures import decode_steps
from edge_runtime.timing import REFILL_RUNS

PICTURE_SCALE = 2  # picture pixels a pixel of the model's, each way


def encode_pictures(images: np.ndarray) -> list[bytes] | None:
    """uint8 [n, H, W, C] to PNG files, enlarged; None where Pillow is missing."""
    try:
        from PIL import Image
    except ModuleNotFoundError:
        return None
    pictures = []
    for image in images:
        file = io.BytesIO()
        picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
        picture.resize((PICTURE_SCALE * picture.width, PICTURE_SCALE * picture.height), Image.Resampling.BILINEAR).save(file, "PNG")
        pictures.append(file.getvalue())
    return pictures


@dataclass
class TimedPipeline:
    """One opened classifier with encoded pictures, and where in the rotation it stands."""

    classifier: Classifier
    pictures: Sequence[bytes]
    position: int = field(default=0)

    def block(self, runs: int) -> np.ndarray:
        """Time `runs` pictures, one at a time, after a few unrecorded ones. Returns int64 [runs] nanoseconds."""
        contract, clock = replace(self.classifier.metadata.preprocessing, ink=None), time.perf_counter_ns
        samples = np.empty(runs, np.int64)
        with no_collection():
            for run in range(-REFILL_RUNS, runs):
                picture = self.pictures[self.position]
                self.position = (self.position + 1) % len(self.pictures)
                begin = clock()
                pixels = decode_steps(io.BytesIO(picture), "picture", contract, array=False)[-1].pixels
                _ = self.classifier.predict(pixels[np.newaxis]).labels
                end = clock()
                if run >= 0:
                    samples[run] = end - begin
        return samples
