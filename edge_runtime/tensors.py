"""Between real numbers and the integers of a quantized tensor.

TensorFlow Lite's affine quantization: real = scale * (integer - zero_point), per tensor
(https://ai.google.dev/edge/litert/models/quantization_spec).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Quantization:
    """How one tensor's integers stand for real numbers. `scale` is real units per step."""

    scale: float
    zero_point: int
    dtype: str  # "int8", "uint8" or "int16"

    def quantize(self, real: np.ndarray) -> np.ndarray:
        """Real numbers to integers: rounded as the kernels do (half to even), then saturated."""
        limits = np.iinfo(self.dtype)
        steps = np.round(np.asarray(real, np.float32) / np.float32(self.scale)) + self.zero_point
        return np.clip(steps, limits.min, limits.max).astype(self.dtype)

    def dequantize(self, integers: np.ndarray) -> np.ndarray:
        """Integers to float32. Subtracts in int32: in int8 the difference would wrap."""
        return (integers.astype(np.int32) - self.zero_point).astype(np.float32) * np.float32(self.scale)


def are_probabilities(answers: np.ndarray, step: float = 0.0) -> bool:
    """Whether answers [N, classes] already are: none below 0, and each image's add up to 1. step: what they were rounded to."""
    if step > 1 / 255:  # the runtimes give a softmax of 8 bits steps of 1/256
        return False
    rounding = 1e-3 + step / 2 * answers.shape[-1]
    return bool((answers >= 0).all() and (np.abs(answers.sum(axis=-1) - 1) <= rounding).all())


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities float32 [N, classes] of logits [N, classes]."""
    logits = logits.astype(np.float32, copy=False)
    # reduce() is what max() and sum() call in the end, at half their price on a handful of numbers
    shares = np.exp(logits - np.maximum.reduce(logits, -1, keepdims=True))
    return shares / np.add.reduce(shares, -1, keepdims=True)
