"""Which layers of a Keras model end up in one operator of an export, whoever converted it."""

from __future__ import annotations

from typing import Any

from edge_runtime.errors import ModelError
from train.fold import linear_before, relu_kind
from train.graph import Graph


def fused_layers(model: Any) -> dict[str, str]:
    """The name of each BatchNorm and ReLU that converters compute in the linear layer before it, with that layer's name.

    Kernels of TensorFlow Lite and ONNX Runtime clip as they write, and converters fold the BatchNorm in between. A tensor of the export
    may be called after any of them; it holds what the last of them answers. Empty for what `Graph` cannot read.
    """
    try:
        graph = Graph.of(model)
    except ModelError:
        return {}
    fused = {}
    for node in list(graph.nodes.values()):
        relu = relu_kind(node)
        before = linear_before(graph, node) if relu or node.kind == "BatchNormalization" else None
        if before is not None:
            fused[node.name] = before.name
            before.config["activation"] = relu or "linear"  # behind a ReLU nothing more is fused
            graph.remove(node.name)
    return fused
