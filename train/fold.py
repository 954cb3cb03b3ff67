"""BatchNorm folding: the same function without a single BatchNormalization layer.

At inference a BatchNorm is y = a·x + b per channel, and so are Rescaling and Normalization. It disappears exactly into

    the linear layer before it          W·a,  bias·a + b          (nothing in between)
    or the linear layer after it        W·a,  bias + W·b          (through what commutes with it: flatten, average pooling,
                                                                   max pooling where every a > 0; into a convolution only with
                                                                   valid padding or b = 0, because padding adds zeros after it)

and where neither holds it becomes a 1×1 DepthwiseConv2D, which the 8-bit quantizer accepts. The quantizer itself refuses BatchNorm
after pooling or activations (tensorflow/model-optimization#628), so without this step many trained networks cannot be quantized.
Method: Jacob et al., 2018, arXiv:1712.05877, section 3.2, applied before fine-tuning and in both directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_runtime.errors import ModelError
from edge_runtime.preprocess import Preprocessing
from train.evaluate import predict_probabilities
from train.graph import RESHAPING, TRAINING_ONLY, Graph, Node, laid_open_layers

TOLERANCE = 1e-4  # of the output range; float32 rounding of the seed network gives 2e-6

_LEAST_DEVIATION = 1e-7  # Keras's epsilon: what Normalization divides by at least

LINEAR = ("Conv2D", "DepthwiseConv2D", "Conv2DTranspose", "Dense")
_LINEAR_AFTER = ("Conv2D", "DepthwiseConv2D", "Dense")
_COMMUTES = ("Flatten", "AveragePooling2D", "GlobalAveragePooling2D")
_COMMUTES_IF_POSITIVE = ("MaxPooling2D", "GlobalMaxPooling2D")
_SCALINGS = ("Rescaling", "Normalization")
_BEFORE_SCALING = (*TRAINING_ONLY, "InputLayer", "Reshape", "Resizing", "CenterCrop", "RandomCrop", "Cropping2D", "ZeroPadding2D")


@dataclass(frozen=True)
class Affine:
    """y = scale·x + offset per channel, float64."""

    scale: np.ndarray
    offset: np.ndarray


@dataclass(frozen=True)
class Folded:
    """The folded model (it ends in logits) and what became of each affine layer, for the user to read."""

    model: Any
    steps: tuple[str, ...]


def fold(model: Any) -> Folded:
    """Remove every BatchNorm, Rescaling, Normalization, training-only layer and the final softmax; merge ReLU layers into what they follow.

    Linear layers are left with no activation but ReLU, and a SeparableConv2D is split into the two it is made of.

    model: a tf_keras Sequential or Functional classifier, left as it is. Raises ModelError for what cannot be folded.
    """
    graph = Graph.of(model)
    for name in [node.name for node in graph.nodes.values() if is_identity(node)]:
        graph.remove(name)
    _strip_softmax(graph)
    for node in [node for node in graph.nodes.values() if node.kind == "SeparableConv2D"]:
        _split_separable(graph, node)
    for node in list(graph.nodes.values()):
        _split_activation(graph, node)
    steps = []
    for node in list(graph.nodes.values()):
        affine = affine_of(node)
        if affine is not None:
            steps.append(_fold_one(graph, node, affine))
    _merge_relu(graph)
    return Folded(graph.build(), tuple(steps))


def check_fold(model: Any, folded: Any, images: np.ndarray, contract: Preprocessing) -> float:
    """Largest |probability difference| between both models on uint8 images [N, H, W, C]; ModelError above the tolerance."""
    difference = np.abs(predict_probabilities(model, images, contract) - predict_probabilities(folded, images, contract)).max()
    if difference > TOLERANCE:
        raise ModelError(f"Folding changed the answers by {difference:.2g} (at most {TOLERANCE:g} allowed): please report this model as a bug.")
    return float(difference)


def scales_pixels_itself(model: Any) -> bool:
    """Whether the first layer that changes the numbers is a Rescaling or Normalization: the model then takes pixels 0..255."""
    kinds = (type(layer).__name__ for layer in laid_open_layers(model))
    return next((kind for kind in kinds if kind not in _BEFORE_SCALING), "") in _SCALINGS


def is_identity(node: Node) -> bool:
    return node.kind in TRAINING_ONLY or (node.kind == "Activation" and node.config["activation"] == "linear")


def _strip_softmax(graph: Graph) -> None:
    last = graph.nodes[graph.output]
    while last.kind in RESHAPING and graph.nodes[last.inputs[0]].channels == last.channels:
        last = graph.nodes[last.inputs[0]]
    if last.kind == "Softmax" or (last.kind == "Activation" and last.config["activation"] == "softmax"):
        graph.remove(last.name)
    elif last.config.get("activation") == "softmax":
        last.config["activation"] = "linear"


def _split_separable(graph: Graph, node: Node) -> None:
    """A SeparableConv2D as DepthwiseConv2D and 1×1 Conv2D: the 8-bit quantizer would split it itself, under names nobody knows."""
    depthwise, *pointwise = node.weights
    second = {field: node.config[field] for field in ("filters", "use_bias", "activation", "data_format")}
    first = {field: node.config[field] for field in ("kernel_size", "strides", "padding", "dilation_rate", "depth_multiplier", "data_format")}
    graph.insert_after(node, "Conv2D", {"kernel_size": [1, 1], **second}, pointwise, node.channels)
    graph.replace(node.name, "DepthwiseConv2D", {"use_bias": False, "activation": "linear", **first}, [depthwise])
    node.channels = depthwise.shape[-2] * depthwise.shape[-1]


def _split_activation(graph: Graph, node: Node) -> None:
    """A linear layer's activation as a layer of its own, unless it is ReLU.

    Inside a layer, tensorflow-model-optimization 0.8.1 refuses relu6, and quantizes what enters tanh, sigmoid and gelu by a range that
    `train.qat` cannot observe there: it would stay at ±6.
    """
    activation = node.config.get("activation", "linear")
    if node.kind in LINEAR and isinstance(activation, str) and activation not in ("linear", "relu"):
        node.config["activation"] = "linear"
        graph.insert_after(node, "Activation", {"activation": activation}, [], node.channels)


def _merge_relu(graph: Graph) -> None:
    """Make a ReLU layer the activation of the linear layer before it, and ReLU(6) an Activation layer.

    tensorflow-model-optimization 0.8.1 gives a layer that a ReLU layer follows no quantizer at all, not even for its weights
    (LayerReLUQuantize), so that fine-tuning would not see the rounding it is there for. It takes relu6 as an Activation layer only.
    """
    for node in list(graph.nodes.values()):
        kind = relu_kind(node)
        source = linear_before(graph, node) if kind == "relu" else None
        if source is not None:
            source.config["activation"] = "relu"
            graph.remove(node.name)
        elif kind == "relu6":
            graph.replace(node.name, "Activation", {"activation": "relu6"}, [])


def relu_kind(node: Node) -> str:
    """What a node does, of "relu", "relu6" and "" for everything else."""
    if node.kind == "Activation" and node.config["activation"] in ("relu", "relu6"):
        return str(node.config["activation"])
    if node.kind != "ReLU" or node.config["negative_slope"] or node.config["threshold"]:
        return ""
    return {None: "relu", 6.0: "relu6"}.get(node.config["max_value"], "")


def affine_of(node: Node) -> Affine | None:
    """The node as y = a·x + b, or None when it is something else."""
    if node.kind == "BatchNormalization":
        return _batch_norm(node)
    if node.kind == "Rescaling":
        ones = np.ones(node.channels)
        return Affine(np.asarray(node.config["scale"], np.float64) * ones, np.asarray(node.config["offset"], np.float64) * ones)
    if node.kind == "Normalization":
        return _normalization(node)
    return None


def _check_axis(node: Node) -> None:
    axis = node.config["axis"]
    axes = list(axis) if isinstance(axis, (list, tuple)) else [axis]
    if axes not in ([-1], [node.rank - 1]):
        raise ModelError(f"{node.kind} {node.name!r} normalizes axis {axis}: only the channel axis (last) can be folded.")


def _normalization(node: Node) -> Affine:
    """Statistics set by adapt() are weights (mean, variance, count), those given to the layer are in its configuration."""
    if node.config["axis"]:  # empty: one mean and one variance for all channels
        _check_axis(node)
    statistics = node.weights[:2] if node.weights else (node.config["mean"], node.config["variance"])
    mean, variance = (np.asarray(values, np.float64).reshape(-1) * np.ones(node.channels) for values in statistics)
    deviation = np.maximum(np.sqrt(variance), _LEAST_DEVIATION)
    return Affine(deviation, mean) if node.config.get("invert") else Affine(1 / deviation, -mean / deviation)


def _batch_norm(node: Node) -> Affine:
    _check_axis(node)
    weights = [weight.astype(np.float64) for weight in node.weights]
    gamma = weights.pop(0) if node.config["scale"] else np.ones(node.channels)
    beta = weights.pop(0) if node.config["center"] else np.zeros(node.channels)
    mean, variance = weights
    scale = gamma / np.sqrt(variance + node.config["epsilon"])
    return Affine(scale, beta - mean * scale)


def _fold_one(graph: Graph, node: Node, affine: Affine) -> str:
    """Put one affine layer away; returns the sentence saying where it went."""
    before = linear_before(graph, node)
    if before is not None:
        _into_layer_before(before, affine)
        graph.remove(node.name)
        return f"{node.name}: folded back into {before.name}"
    _, after = forward_path(graph, node, affine)
    if after is not None:
        _into_layer_after(after, affine)
        graph.remove(node.name)
        return f"{node.name}: folded forward into {after.name}"
    if node.rank != 4:
        raise ModelError(f"{node.kind} {node.name!r} cannot be folded: put it directly after the Dense layer before it, ahead of the activation.")
    kernel = affine.scale.astype(np.float32).reshape(1, 1, -1, 1)
    graph.replace(
        node.name, "DepthwiseConv2D", {"kernel_size": [1, 1], "use_bias": True, "activation": "linear"}, [kernel, affine.offset.astype(np.float32)]
    )
    return f"{node.name}: became a 1×1 depthwise convolution"


def linear_before(graph: Graph, node: Node, kinds: Sequence[str] = LINEAR) -> Node | None:
    """The layer that a node reads, if it is of these kinds, without an activation, and read by nobody else."""
    source = graph.nodes[node.inputs[0]]
    linear = source.kind in kinds and source.config.get("activation", "linear") == "linear"
    return source if linear and len(graph.consumers(source.name)) == 1 else None


def forward_path(graph: Graph, node: Node, affine: Affine) -> tuple[list[str], Node | None]:
    """(layers on the way, the linear layer that takes the affine forward, or None): each has one reader and commutes with it."""
    commuting = _COMMUTES + (_COMMUTES_IF_POSITIVE if (affine.scale > 0).all() else ())
    way: list[str] = []
    current = node
    while True:
        readers = graph.consumers(current.name)
        if len(readers) != 1 or current.name == graph.output:
            return way, None
        current = readers[0]
        if current.kind in _LINEAR_AFTER:
            return way, current if _takes_from_before(current, affine) else None
        if current.kind not in commuting:
            return way, None
        way.append(current.name)


def _takes_from_before(node: Node, affine: Affine) -> bool:
    if node.kind == "Dense":
        return node.rank == 2
    return node.config.get("groups", 1) == 1 and (node.config["padding"] == "valid" or not affine.offset.any())


def _into_layer_before(node: Node, affine: Affine) -> None:
    kernel, bias = _kernel_and_bias(node)
    shape = {"DepthwiseConv2D": kernel.shape[-2:], "Conv2DTranspose": (-1, 1)}.get(node.kind, (-1,))
    _set_weights(node, kernel * affine.scale.reshape(shape), bias * affine.scale + affine.offset)


def _into_layer_after(node: Node, affine: Affine) -> None:
    kernel, bias = _kernel_and_bias(node)
    if node.kind == "Dense":  # behind a Flatten the channels repeat, once a position
        repeats = len(kernel) // len(affine.scale)
        scale, offset = np.tile(affine.scale, repeats), np.tile(affine.offset, repeats)
        _set_weights(node, kernel * scale[:, None], bias + offset @ kernel)
    elif node.kind == "DepthwiseConv2D":
        added = (kernel * affine.offset[:, None]).sum(axis=(0, 1)).reshape(-1)
        _set_weights(node, kernel * affine.scale[:, None], bias + added)
    else:
        _set_weights(node, kernel * affine.scale[:, None], bias + np.einsum("hwio,i->o", kernel, affine.offset))


def _kernel_and_bias(node: Node) -> tuple[np.ndarray, np.ndarray]:
    """The kernel, and the bias (zeros where the layer has none), both float64."""
    kernel, bias = node.weights if node.config["use_bias"] else (node.weights[0], np.zeros(node.channels))
    return kernel.astype(np.float64), bias.astype(np.float64)


def _set_weights(node: Node, kernel: np.ndarray, bias: np.ndarray) -> None:
    node.config["use_bias"] = True
    node.weights = [kernel.astype(np.float32), bias.astype(np.float32)]
