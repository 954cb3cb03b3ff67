"""Quantization-aware fine-tuning with tensorflow-model-optimization, on tf_keras.

The library starts every activation range at ±6 and lets a moving average (decay 0.999) forget that over thousands of steps. Here each
range starts where the folded model's activations are on calibration images, so that a short fine-tuning, or none, is already sound.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edge_runtime.errors import ModelError
from edge_runtime.preprocess import Preprocessing
from train.evaluate import layer_outputs

Range = tuple[float, float]
INPUT = "input"  # the key of the input tensor's range

_PREFIX = "quant_"  # what the library puts before a layer's name
_INPUT_LAYER = "quantize_layer"  # how it begins the name of the layer that quantizes the input

# The activations the 8-bit quantizer knows inside a layer; as a layer of its own (Activation) also relu6.
_ACTIVATIONS = ("linear", "relu", "softmax", "sigmoid", "tanh", "swish", "gelu")

_REMEDIES = {
    "BatchNormalization": "fold it first (edgeproof does, where the channel axis is last)",
    "Resizing": "resize before the model: the preprocessing contract does it",
    "RandomCrop": "crop before the model: this layer crops at inference too",
    "ELU": "use ReLU",
    "PReLU": "use ReLU or LeakyReLU",
    "LayerNormalization": "use BatchNormalization, which folds away",
    "GroupNormalization": "use BatchNormalization, which folds away",
    "Lambda": "use a standard layer",
}


def preflight(model: Any) -> list[str]:
    """Every layer of a folded model that the 8-bit quantizer refuses, each with a remedy. (The library itself stops at the first.)"""
    from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import default_8bit_quantize_registry

    registry = default_8bit_quantize_registry.Default8BitQuantizeRegistry()
    problems = []
    for layer in model.layers:
        kind = type(layer).__name__
        activation = _activation(layer)
        if kind != "InputLayer" and not registry.supports(layer):
            problems.append(f"{layer.name} ({kind}): {_REMEDIES.get(kind, 'replace it by a standard convolution, dense, pooling or ReLU layer')}")
        elif activation not in _ACTIVATIONS and (kind, activation) != ("Activation", "relu6"):
            problems.append(f"{layer.name} ({kind}): activation {activation}: use relu, or a ReLU(6) or LeakyReLU layer")
    return problems


def _activation(layer: Any) -> str:
    activation = getattr(layer, "activation", None)
    return "linear" if activation is None else getattr(activation, "__name__", type(activation).__name__)


def quantize_aware(folded: Any, calibration: np.ndarray, contract: Preprocessing) -> Any:
    """A new model with fake quantization at every tensor, its ranges observed on uint8 images [N, H, W, C].

    Raises ModelError listing every layer that cannot be quantized.
    """
    problems = preflight(folded)
    if problems:
        raise ModelError(f"{len(problems)} layer(s) cannot be quantized: " + "; ".join(problems) + ".")
    from tensorflow_model_optimization.python.core.quantization.keras import quantize

    model = quantize.quantize_model(folded)
    model(contract.normalize(calibration[:1]), training=True)  # the library's own way of setting the ranges of the weights
    _set_ranges(model, observed_ranges(folded, calibration, contract))
    return model


def observed_ranges(model: Any, images: np.ndarray, contract: Preprocessing) -> dict[str, Range]:
    """(smallest, largest) activation of each layer, and of the input, on uint8 images [N, H, W, C]."""
    pixels = contract.normalize(images)
    ranges = {INPUT: (float(pixels.min()), float(pixels.max()))}
    for name, values in layer_outputs(model, images, contract).items():
        ranges[name] = (float(values.min()), float(values.max()))
    return ranges


def activation_ranges(model: Any) -> dict[str, Range]:
    """The ranges a QAT model has learnt, by Keras layer name (the input's under INPUT)."""
    found = {}
    for layer in model.layers:
        low, high = _range_variables(layer)
        if low is not None:
            found[_key(layer)] = (float(low.numpy()), float(high.numpy()))
    return found


def float_twin(model: Any, folded: Any) -> Any:
    """The folded network with the QAT model's weights and no fake quantization: what the ONNX export quantizes by the learnt ranges."""
    import tf_keras

    twin = tf_keras.models.clone_model(folded)
    for target in twin.layers:
        if target.weights:
            kept = {weight.name.split("/")[-1]: weight.numpy() for weight in model.get_layer(_PREFIX + target.name).weights}
            target.set_weights([kept[weight.name.split("/")[-1]] for weight in target.weights])
    return twin


def load_qat(path: Any) -> Any:
    """A QAT model from the `.h5` it was saved to (a `.keras` of one cannot be read back)."""
    import tf_keras
    from tensorflow_model_optimization.python.core.quantization.keras import quantize

    with quantize.quantize_scope():
        return tf_keras.models.load_model(path, compile=False)


def _set_ranges(model: Any, ranges: Mapping[str, Range]) -> None:
    for layer in model.layers:
        low, high = _range_variables(layer)
        if low is not None:
            smallest, largest = ranges[_key(layer)]
            low.assign(min(smallest, 0.0))  # a range without zero cannot represent padding, nor ReLU's floor
            high.assign(max(largest, 0.0))


def _range_variables(layer: Any) -> tuple[Any, Any]:
    """The (min, max) variables of the quantizer at a layer's output, or (None, None) where it passes its input's range on."""
    by_name = {weight.name.split("/")[-1].split(":")[0]: weight for weight in layer.weights}
    for kind in ("post_activation", "output", layer.name):
        if f"{kind}_min" in by_name:
            return by_name[f"{kind}_min"], by_name[f"{kind}_max"]
    return None, None


def _key(layer: Any) -> str:
    return keras_name(layer.name)


def keras_name(layer_name: str) -> str:
    """The name a layer had before quantization: "conv2d" for "quant_conv2d", INPUT for the layer that quantizes the input."""
    return INPUT if layer_name.startswith(_INPUT_LAYER) else layer_name.removeprefix(_PREFIX)
