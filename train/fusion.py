"""Which tensors an export has for the BatchNorm and ReLU layers of a Keras model, whoever converted it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_runtime.errors import ModelError
from train.fold import LINEAR, Affine, affine_of, forward_path, is_identity, linear_before, relu_kind
from train.graph import Graph, Node

_LEAST_SCALE = 1e-6  # a channel that a BatchNorm nearly silences says nothing of what came before


@dataclass(frozen=True)
class Fusion:
    """By layer name. Empty for a network that cannot be folded.

    computed_in: for each BatchNorm and ReLU that kernels compute as part of the layer before it, that layer: a linear one, or a BatchNorm
    that nothing takes in. A tensor of an export may be called after any of them; it holds what the last of them answers.
    carried_past: for each layer that a BatchNorm before it can be folded forward past, that BatchNorm, which its tensor may then lack.
    """

    computed_in: Mapping[str, str]
    carried_past: Mapping[str, Affine]


def fusion_of(model: Any) -> Fusion:
    """For a tf_keras classifier as it was trained."""
    try:
        return _fusion(Graph.of(model))
    except (ModelError, ValueError, TypeError, KeyError, AttributeError):  # whatever Keras says of layers that `Graph` does not know
        return Fusion({}, {})


def _fusion(graph: Graph) -> Fusion:
    for node in [node for node in graph.nodes.values() if is_identity(node)]:
        graph.remove(node.name)
    computed_in: dict[str, str] = {}
    for node in list(graph.nodes.values()):
        before = _computed_with(graph, node)
        if before is not None:
            computed_in[node.name] = before.name
            before.config["activation"] = relu_kind(node) or "linear"  # behind a ReLU nothing more is fused
            graph.remove(node.name)
    carried_past: dict[str, Affine] = {}
    for node in graph.nodes.values():
        affine = affine_of(node) if node.kind == "BatchNormalization" else None
        if affine is not None and abs(affine.scale).min() > _LEAST_SCALE:
            way, linear = forward_path(graph, node, affine)
            if linear is not None:
                carried_past |= dict.fromkeys(way, affine)
    return Fusion(computed_in, carried_past)


def _computed_with(graph: Graph, node: Node) -> Node | None:
    """The layer whose kernel takes this BatchNorm or ReLU in, if there is one."""
    relu = relu_kind(node)
    if not relu and node.kind != "BatchNormalization":
        return None
    return linear_before(graph, node, (*LINEAR, "SeparableConv2D", *(("BatchNormalization",) if relu else ())))
