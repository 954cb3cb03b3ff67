"""From a model's raw outputs to labels and probabilities."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edge_runtime.tensors import Quantization, are_probabilities, softmax

Reader = Callable[[np.ndarray], np.ndarray]
_INT64 = np.dtype(np.int64)
_TABLE_RANGE = 700.0  # the exponential function spans exp(-745) … 1 in float64


class Prediction:
    """The answers for N images."""

    _probabilities: np.ndarray | None = None

    def __init__(self, outputs: np.ndarray, names: tuple[str, ...], read_probabilities: Reader) -> None:
        self.outputs = outputs  # [N, classes], in the model's own number type
        self.names = names
        self._read = read_probabilities

    @property
    def labels(self) -> np.ndarray:
        """int64 [N]: the class with the largest raw output, the lowest index on ties."""
        labels = self.outputs.argmax(1)
        return labels if labels.dtype is _INT64 else labels.astype(_INT64)  # numpy counts in 32 bits on a 32-bit board

    @property
    def probabilities(self) -> np.ndarray:
        """float32 [N, classes]. Computed on first access: on a small model a softmax costs as much as a layer."""
        if self._probabilities is None:
            self._probabilities = self._read(self.outputs)
        return self._probabilities


def to_probabilities(outputs: np.ndarray, quantization: Quantization | None, kind: str) -> np.ndarray:
    """Raw outputs [N, classes] to float32 probabilities; `kind` is "logits" or "probabilities"."""
    real = quantization.dequantize(outputs) if quantization else outputs.astype(np.float32)
    return softmax(real) if kind == "logits" else real


def undeclared_reader(quantization: Quantization | None) -> Reader:
    """For a file that does not say what it answers with: what looks like probabilities stays."""

    def read(outputs: np.ndarray) -> np.ndarray:
        real = to_probabilities(outputs, quantization, "probabilities")
        return real if are_probabilities(real, quantization.scale if quantization else 0.0) else softmax(real)

    return read


def probability_reader(quantization: Quantization | None, kind: str) -> Reader:
    """`to_probabilities` for one model, prepared: an 8-bit output has 256 values, so that the softmax's exponentials are one table."""
    if quantization is None and kind == "logits":
        return softmax
    if quantization is None or quantization.dtype not in ("int8", "uint8"):
        return lambda outputs: to_probabilities(outputs, quantization, kind)
    values = np.arange(256, dtype=np.uint8).view(quantization.dtype)  # by their bytes: -1 is entry 255
    real = quantization.dequantize(values)
    if kind == "probabilities":
        return lambda outputs: real.take(outputs, mode="wrap")
    if float(np.ptp(real)) > _TABLE_RANGE:
        return lambda outputs: to_probabilities(outputs, quantization, kind)
    powers = np.exp(real.astype(np.float64) - real.max())  # of the largest value there can be, not of this answer: never above 1

    def read(outputs: np.ndarray) -> np.ndarray:
        shares = powers.take(outputs, mode="wrap")
        return (shares / np.add.reduce(shares, 1, keepdims=True)).astype(np.float32)

    return read
