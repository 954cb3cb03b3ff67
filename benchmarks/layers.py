"""Where in a network an export stops being the model it was made from: each layer's signal-to-quantization-noise ratio.

The reference are the outputs of the Keras model's layers; what the export computed comes from preserved tensors, which carry the Keras
layer's name in theirs ("compact/quant_conv2d/Relu;compact/quant_conv2d/BiasAdd"). All functions here are pure.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from edge_runtime.tensors import Quantization

INPUT = "input"
MOST_DB = 150.0  # more than float32 can tell; stands for "exactly alike"
_CLEAN_DB = 30.0  # what int8 keeps of a layer, more or less: differences above it are noise as expected, not loss


@dataclass(frozen=True)
class KerasLayers:
    """What an export's tensors are compared with, on the first n images."""

    outputs: Mapping[str, np.ndarray]  # float32 [n, ...] by layer, in the network's order; first the normalized pixels, "input"
    folded: Mapping[str, np.ndarray] = field(default_factory=dict)  # what layers answer instead, if BatchNorm was folded past them
    fused: Mapping[str, str] = field(default_factory=dict)  # for layers that are no part of `outputs`: the one they are computed in

    def wanted(self, layer: str, images: int) -> list[np.ndarray]:
        return [of[layer][:images] for of in (self.outputs, self.folded) if layer in of]


@dataclass(frozen=True)
class Tensor:
    """What one operator wrote for n images: `values` [n, ...] in the model's own number type."""

    name: str
    values: np.ndarray
    quantization: Quantization | None

    @property
    def real(self) -> np.ndarray:
        return self.quantization.dequantize(self.values) if self.quantization else self.values.astype(np.float32)

    @property
    def means_numbers(self) -> bool:
        """Integers that nothing translates (shapes, indices) do not."""
        return self.quantization is not None or self.values.dtype.kind == "f"


@dataclass(frozen=True)
class LayerRow:
    """One layer of one export. Decibels; `saturated` is a share, None for floats."""

    layer: str
    snr_db: float
    saturated: float | None
    fall_db: float  # from the lowest before it, where both count as at most what int8 keeps: negative where the signal recovers


def layer_table(reference: KerasLayers, tensors: Sequence[Tensor], *, ends_in_logits: bool) -> list[LayerRow]:
    """The layers that the export still has, in the network's order.

    tensors: what the interpreter was given first, then every operator's output in order, of as many images as the reference or fewer.
    ends_in_logits: whether the export's answer is the last layer.
    """
    matched = _match(reference, tensors, ends_in_logits)
    rows: list[LayerRow] = []
    lowest = _CLEAN_DB
    for layer in reference.outputs:
        if layer in matched:
            tensor = matched[layer]
            snr, got, wanted = _nearest(tensor.real, reference.wanted(layer, len(tensor.values)))
            rows.append(LayerRow(layer, snr, _saturated(tensor, got, wanted), lowest - min(snr, _CLEAN_DB)))
            lowest = min(lowest, snr)
    return rows


def suspect(table: Sequence[LayerRow]) -> LayerRow | None:
    """The layer where the ratio falls most. Those after a damaged one stay low, but do not fall again."""
    return max(table, key=lambda row: row.fall_db, default=None)


def snr_before(table: Sequence[LayerRow], layer: str) -> float:
    """The lowest ratio of all layers before this one, decibels."""
    names = [row.layer for row in table]
    return min((row.snr_db for row in table[: names.index(layer)]), default=MOST_DB)


def signal_to_noise_db(wanted: np.ndarray, got: np.ndarray) -> float:
    """10 log10 of the power of what was wanted over the power of the difference, within ±MOST_DB; NaN anywhere gives the least."""
    signal = float(np.square(wanted, dtype=np.float64).sum())
    noise = float(np.square(wanted.astype(np.float64) - got).sum())
    if not np.isfinite(noise):
        return -MOST_DB
    if noise == 0:
        return MOST_DB
    return float(np.clip(10 * np.log10(max(signal, 1e-300) / noise), -MOST_DB, MOST_DB))


def _match(reference: KerasLayers, tensors: Sequence[Tensor], ends_in_logits: bool) -> dict[str, Tensor]:
    """The last tensor of each layer that has the layer's size."""
    outputs = reference.outputs
    computed_in = {**{name: name for name in outputs}, **reference.fused}
    matched = {INPUT: tensors[0]} if INPUT in outputs else {}
    unnamed = []
    for tensor in filter(lambda tensor: tensor.means_numbers, tensors[1:]):
        layer = next((computed_in[found] for found in layers_in(tensor.name, computed_in)), None)  # of fused ones the last comes first
        if layer is None:
            unnamed.append(tensor)
        elif _size(tensor.values) == _size(outputs[layer]):
            matched[layer] = tensor
    last = list(outputs)[-1]
    answers = [tensor for tensor in unnamed if _size(tensor.values) == _size(outputs[last])]
    if last not in matched and answers and ends_in_logits:  # converters give the model's answer a name of their own
        matched[last] = answers[-1]
    return matched


def layers_in(name: str, layers: Container[str]) -> Iterator[str]:
    """The Keras layers in a tensor's name. Names of fused operators are joined by semicolons, the last operator's first."""
    for path in name.split(";"):
        for segment in re.split(r"[/:]", path):
            for layer in (segment, segment.removeprefix("quant_")):
                if layer in layers and layer != INPUT:
                    yield layer


def _size(values: np.ndarray) -> int:
    """Elements of one image."""
    return int(np.prod(values.shape[1:]))


def _nearest(got: np.ndarray, wanted: Sequence[np.ndarray]) -> tuple[float, np.ndarray, np.ndarray]:
    """(ratio, got, what was wanted) of what is nearest, in that order of axes: ONNX has channels first."""
    ranked = [(signal_to_noise_db(one, values), values, one) for one in wanted for values in _arrangements(got, one.shape)]
    return max(ranked, key=lambda entry: entry[0])


def _arrangements(got: np.ndarray, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    yield got.reshape(shape)
    if len(shape) == 4:
        height, width, channels = shape[1:]
        yield np.moveaxis(got.reshape(-1, channels, height, width), 1, -1)


def _saturated(tensor: Tensor, got: np.ndarray, wanted: np.ndarray) -> float | None:
    """Share of values stuck at an end of the integer type: neither the zero that a ReLU ends at, nor where they should be."""
    quantization = tensor.quantization
    if quantization is None:
        return None
    limits = np.iinfo(quantization.dtype)
    highest, lowest = ((limit - quantization.zero_point) * quantization.scale for limit in (limits.max, limits.min))
    at_end = got >= highest - quantization.scale / 2
    if quantization.zero_point != limits.min:
        at_end |= got <= lowest + quantization.scale / 2
    return float((at_end & (np.abs(got - wanted) > quantization.scale)).mean())
