"""A QAT model with some layers left out of quantization: what a mixed export is converted from. Nothing is trained anew.

The model is rebuilt around the layers that stay float: those lose their fake quantization and keep their trained weights, all others keep
theirs with the ranges that they learnt. Where a float layer hands over to an int8 one, its output is quantized by its learnt range.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from train.graph import Graph, Node
from train.qat import Range, activation_ranges

_PREFIX = "quant_"
_INPUT_KINDS = ("InputLayer", "QuantizeLayer")

# The converter computes a layer in int8 as soon as its input and its output are quantized, whether its weights were trained for it or not.
# A float operation between the layer and the quantizer of its output stops it, if it is one that does not hand its operand's range on.
# This one changes no number (x, or x·alpha below zero: half a unit in the last place); at alpha = 1 the converter would drop it before it
# quantizes. `export.partial` takes it out of the finished file.
_BARRIER = ("LeakyReLU", {"alpha": float(np.nextafter(np.float32(1), np.float32(0)))})


def quantized_layers(model: Any) -> list[str]:
    """The layers of a QAT model that have weights, by their Keras names, in order: those that can be left out."""
    return [layer.name.removeprefix(_PREFIX) for layer in model.layers if _weights(layer)]


def partially_quantized(model: Any, keep_float: Collection[str]) -> Any:
    """The QAT model with the layers `keep_float` left out of quantization; a new model.

    Pooling and the like become float where everything around them is. The model's answer stays float when the layer that gives it does.
    """
    import tf_keras  # noqa: F401 - before tensorflow_model_optimization, which chooses its Keras on import
    from tensorflow_model_optimization.python.core.quantization.keras import quantize

    with quantize.quantize_scope():
        graph = Graph.of(model)
        kept = _float_nodes(graph, {_PREFIX + name for name in keep_float}, {layer.name for layer in model.layers if _weights(layer)})
        ends = [node for node in graph.nodes.values() if node.name in kept and any(reader.name not in kept for reader in graph.consumers(node.name))]
        ranges = activation_ranges(model)
        bounds = {node.name: _range_after(graph, node, ranges) for node in ends}
        for name in kept:
            inner = graph.nodes[name].config["layer"]
            graph.replace(name, inner["class_name"], {**inner["config"], "name": name}, _weights(model.get_layer(name)))
        for node in ends:
            _quantize_after(graph, node, bounds[node.name])
        return graph.build()


def _weights(layer: Any) -> list[np.ndarray]:
    """The trained weights of a wrapped layer in Keras order, without the wrapper's own variables."""
    if type(layer).__name__ in _INPUT_KINDS:
        return []
    names = [weight.name.split("/")[-1].split(":")[0] for weight in layer.weights]
    return [
        weight.numpy() for weight, name in zip(layer.weights, names, strict=True) if name != "optimizer_step" and not name.endswith(("_min", "_max"))
    ]


def _float_nodes(graph: Graph, chosen: set[str], weighted: set[str]) -> set[str]:
    """The chosen nodes, and the weightless ones that have only float nodes around them."""
    kept = chosen | {node.name for node in graph.nodes.values() if node.kind not in _INPUT_KINDS and node.name not in weighted}
    while lost := {name for name in kept - chosen if not _neighbours(graph, name) <= kept}:
        kept -= lost
    return kept


def _neighbours(graph: Graph, name: str) -> set[str]:
    return {*graph.nodes[name].inputs, *(reader.name for reader in graph.consumers(name))}


def _range_after(graph: Graph, node: Node, ranges: dict[str, Range]) -> Range:
    """The learnt range of a node's output. Before a ReLU or Concatenate the library leaves a layer without one: it is that of the reader."""
    name = node.name.removeprefix(_PREFIX)
    return ranges[name] if name in ranges else _range_after(graph, graph.consumers(node.name)[0], ranges)


def _quantize_after(graph: Graph, node: Node, bounds: Range) -> None:
    from tensorflow_model_optimization.python.core.quantization.keras import quantize_layer, quantizers

    quantizer = quantizers.MovingAverageQuantizer(num_bits=8, per_axis=False, symmetric=False, narrow_range=False)
    config = {"quantizer": quantize_layer.QuantizeLayer(quantizer).get_config()["quantizer"]}
    variables = [np.array(bounds[0], np.float32), np.array(bounds[1], np.float32), np.array(-1, np.int32)]
    graph.insert_after(node, *_BARRIER, [], node.channels)
    barrier = graph.nodes[f"{node.name}_leakyrelu"]
    graph.insert_after(barrier, "QuantizeLayer", config, variables, node.channels)
