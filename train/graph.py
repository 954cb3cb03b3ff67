"""A Keras model as plain data: layers, connections, weights. What `train.fold` rewrites.

Keras layers cannot be edited in place once connected; their configuration can, and the model is then built anew from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edge_runtime.errors import ModelError

_MODELS = ("Functional", "Sequential", "Model")

TRAINING_ONLY = (
    "Dropout", "SpatialDropout2D", "GaussianDropout", "GaussianNoise", "AlphaDropout", "ActivityRegularization",
    "RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom", "RandomContrast", "RandomBrightness",
)  # fmt: skip
# Not RandomCrop: at inference it still crops, from the centre.
RESHAPING = ("Flatten", "Reshape")


def laid_open_layers(model: Any) -> Iterator[Any]:
    """The model's layers in order, each model inside it replaced by its own layers. Takes any model, also what `Graph` refuses."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from laid_open_layers(layer)
        else:
            yield layer


@dataclass
class Node:
    """One layer: its Keras class name, configuration, the names of the layers it reads, and its weights in Keras order."""

    name: str
    kind: str
    config: dict[str, Any]
    inputs: list[str]
    weights: list[np.ndarray]
    channels: int  # size of the last axis of its output
    rank: int  # of its output, batch included
    entry: dict[str, Any] = field(repr=False, default_factory=dict)  # the layer's part of the model's configuration


@dataclass
class Graph:
    """Layers by name, in topological order."""

    name: str
    nodes: dict[str, Node]
    output: str
    input: str

    @classmethod
    def of(cls, model: Any) -> Graph:
        """Read a Sequential or Functional classifier, models inside it laid open. ModelError for shared layers and bare operations."""
        import tf_keras

        nodes: dict[str, Node] = {}
        output = _read(tf_keras.Model(model.inputs, model.outputs, name=model.name), nodes)
        return cls(model.name, nodes, output, next(iter(nodes)))

    def consumers(self, name: str) -> list[Node]:
        return [node for node in self.nodes.values() if name in node.inputs]

    def remove(self, name: str) -> None:
        """Take a one-input layer out; its readers read its source instead."""
        (source,) = self.nodes.pop(name).inputs
        for node in self.nodes.values():
            node.inputs = [source if read == name else read for read in node.inputs]
        if self.output == name:
            self.output = source

    def replace(self, name: str, kind: str, config: dict[str, Any], weights: list[np.ndarray]) -> None:
        """Put another layer in a layer's place, under the same name."""
        node = self.nodes[name]
        node.kind, node.config, node.weights = kind, {"name": name, **config}, weights
        node.entry = {"name": name}

    def insert_after(self, source: Node, kind: str, config: dict[str, Any], weights: list[np.ndarray], channels: int) -> None:
        """Put a layer, called source_kind, behind another: whoever read that one reads it instead."""
        name = f"{source.name}_{kind.lower()}"
        for reader in self.consumers(source.name):
            reader.inputs = [name if read == source.name else read for read in reader.inputs]
        self.nodes[name] = Node(name, kind, {"name": name, **config}, [source.name], weights, channels, source.rank, {"name": name})
        if self.output == source.name:
            self.output = name

    def build(self) -> Any:
        """The Keras model of this graph, with these weights."""
        import tf_keras

        layers = [
            {
                **{key: value for key, value in node.entry.items() if key != "build_config"},
                "class_name": node.kind,
                "config": node.config,
                "inbound_nodes": [[[read, 0, 0, {}] for read in node.inputs]] if node.inputs else [],
            }
            for node in self.nodes.values()
        ]
        config = {
            "name": self.name,
            "trainable": True,
            "layers": layers,
            "input_layers": [[self.input, 0, 0]],
            "output_layers": [[self.output, 0, 0]],
        }
        model = tf_keras.Model.from_config(config)
        for node in self.nodes.values():
            model.get_layer(node.name).set_weights(node.weights)
        return model


def _read(model: Any, nodes: dict[str, Node], source: str | None = None) -> str:
    """Add a Functional model's layers to `nodes`; a nested one reads from `source` instead of its input. Returns its output's name."""
    import tf_keras

    config = model.get_config()
    names: dict[str, str] = {}  # of this model's layers, in the whole graph
    for entry in config["layers"]:
        inputs = [names[read] for read in _inputs(entry)]  # first: a layer that is used twice may have no single output shape
        layer = model.get_layer(entry["name"])
        if source is not None and entry["class_name"] == "InputLayer":
            names[layer.name] = source
        elif entry["class_name"] in _MODELS:
            names[layer.name] = _read(tf_keras.Model(layer.inputs, layer.outputs, name=layer.name), nodes, inputs[0])
        else:
            names[layer.name] = layer.name if layer.name not in nodes else f"{model.name}_{layer.name}"
            nodes[names[layer.name]] = _node(names[layer.name], layer, entry, inputs)
    return names[config["output_layers"][0][0]]


def _node(name: str, layer: Any, entry: dict[str, Any], inputs: list[str]) -> Node:
    _, *shape = layer.output_shape[0] if isinstance(layer.output_shape, list) else layer.output_shape
    return Node(
        name=name,
        kind=entry["class_name"],
        config={**entry["config"], "name": name},
        inputs=inputs,
        weights=layer.get_weights(),
        channels=int(shape[-1]),
        rank=len(shape) + 1,
        entry={**entry, "name": name},
    )


def _inputs(entry: dict[str, Any]) -> list[str]:
    name, kind, inbound = entry["name"], entry["class_name"], entry["inbound_nodes"]
    if kind in _MODELS and len(inbound) == 1 and len(inbound[0]) > 1:
        raise ModelError(f"{name!r} is a model with several inputs inside the model: connect its layers directly.")
    if kind.endswith("OpLambda"):
        raise ModelError(f"{name!r} is a bare TensorFlow operation: use the Keras layer for it (Add, ReLU, Rescaling, …).")
    if len(inbound) > 1:
        raise ModelError(f"Layer {name!r} is used {len(inbound)} times: give each use a layer of its own.")
    return [read[0] for read in inbound[0]] if inbound else []
