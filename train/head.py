"""The head of a classifier: which layer makes its answers, and whether those are probabilities or logits."""

from __future__ import annotations

from typing import Any

from edge_runtime.errors import ModelError
from train.graph import RESHAPING, TRAINING_ONLY

_ACTIVATION_LAYERS = ("ReLU", "LeakyReLU", "PReLU", "ELU", "ThresholdedReLU")


def head_layer(model: Any) -> Any:
    """The layer that computes the model's answer, however deep in models inside the model it lies; what only passes it on does not count."""
    names = getattr(model, "output_names", None)  # None in a network that was never given an input size
    layer = model.get_layer(names[0]) if names else model.layers[-1]
    while True:
        if hasattr(layer, "layers"):
            return head_layer(layer)
        before = _only_source(layer) if _passes_on(layer) else None
        if before is None:
            return layer
        layer = before


def ends_in_softmax(model: Any) -> bool:
    """Whether the model gives probabilities (else logits)."""
    head = head_layer(model)
    return type(head).__name__ == "Softmax" or _activation(head) == "softmax"


def check_head(model: Any) -> None:
    """ModelError unless the last activation is softmax or none: only those two can be compared as probabilities."""
    head = head_layer(model)
    activation = type(head).__name__ if type(head).__name__ in _ACTIVATION_LAYERS else _activation(head)
    if activation not in ("softmax", "linear"):
        raise ModelError(f"The last layer {head.name!r} ends in {activation}: edgeproof judges one-of-N classifiers (softmax or logits).")


def _activation(layer: Any) -> str:
    return str(getattr(getattr(layer, "activation", None), "__name__", "linear"))


def _passes_on(layer: Any) -> bool:
    """At inference; of a whole answer: reshaping what a softmax gave place by place makes no probabilities of it."""
    kind = type(layer).__name__
    if kind in TRAINING_ONLY or (kind == "Activation" and _activation(layer) == "linear"):
        return True
    return kind in RESHAPING and getattr(layer, "input_shape", (None,))[-1] == getattr(layer, "output_shape", (None,))[-1]


def _only_source(layer: Any) -> Any:
    """The layer that it reads; None if it reads the image, or several."""
    nodes = layer.inbound_nodes
    before = nodes[0].inbound_layers if nodes else []
    if isinstance(before, list):
        return before[0] if len(before) == 1 else None
    return None if type(before).__name__ == "InputLayer" else before
