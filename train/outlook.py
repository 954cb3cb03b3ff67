"""What will become of each layer of a user's model, told before anything is trained: what folding does with it, what the quantizer says to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_runtime.errors import ModelError
from train.fold import Folded, fold
from train.graph import TRAINING_ONLY
from train.qat import preflight

_PIECES = ("_activation", "_conv2d", "_conv2d_activation")  # what `fold` adds to a layer's name when it takes the layer apart
INT8, NOTHING_LEFT = "int8", ""


@dataclass(frozen=True)
class LayerOutlook:
    """One layer. `shape` is its output's, without the batch; `quantizer` is INT8, NOTHING_LEFT after folding, or the objection with its remedy."""

    name: str
    kind: str
    shape: tuple[int | None, ...]
    parameters: int
    folding: str
    quantizer: str


@dataclass(frozen=True)
class Outlook:
    """All layers in order; the quantizer's objections; and why the model cannot be folded at all (then nothing else is known), or ""."""

    layers: tuple[LayerOutlook, ...]
    objections: tuple[str, ...]
    unfoldable: str


def outlook(model: Any) -> Outlook:
    """Fold a copy of a tf_keras classifier and ask the quantizer about it. Never raises for what the model is made of."""
    layers = _named_layers(model)
    try:
        folded = fold(model)
    except ModelError as error:
        return Outlook(tuple(_facts(name, layer, "", NOTHING_LEFT) for name, layer in layers.items()), (), str(error))
    problems = preflight(folded.model)
    refused = {name: problem for problem in problems for name in layers if _is_piece(problem.split(" (")[0], name, layers)}
    after = {layer.name: layer for layer in folded.model.layers}
    rows = []
    for name, layer in layers.items():
        left = any(_is_piece(piece, name, layers) for piece in after)
        verdict = refused[name].split("): ", 1)[1] if name in refused else INT8 if left else NOTHING_LEFT
        rows.append(_facts(name, layer, _folding(name, layer, folded, after, layers), verdict))
    return Outlook(tuple(rows), tuple(problems), "")


def _named_layers(model: Any, inside: bool = False) -> dict[str, Any]:
    """Every layer, those of models inside the model too, by the name that `train.graph.Graph` gives it; without the inner models' inputs."""
    found: dict[str, Any] = {}
    for layer in model.layers:
        if hasattr(layer, "layers"):
            inner = _named_layers(layer, inside=True)
            found |= {name if name not in found else f"{layer.name}_{name}": value for name, value in inner.items()}
        elif not inside or type(layer).__name__ != "InputLayer":
            found[layer.name if layer.name not in found else f"{model.name}_{layer.name}"] = layer
    return found


def _facts(name: str, layer: Any, folding: str, quantizer: str) -> LayerOutlook:
    try:
        shape = layer.output_shape
    except AttributeError:  # used several times, on inputs of several sizes
        shape = (None,)
    _, *rest = shape[0] if isinstance(shape, list) else shape
    return LayerOutlook(name, type(layer).__name__, tuple(rest), int(layer.count_params()), folding, quantizer)


def _is_piece(piece: str, name: str, names: Mapping[str, Any]) -> bool:
    """Whether a layer of the folded model is `name`, or a part that folding took out of it."""
    return piece == name or (piece not in names and any(piece == f"{name}{suffix}" for suffix in _PIECES))


def _folding(name: str, layer: Any, folded: Folded, after: Mapping[str, Any], names: Mapping[str, Any]) -> str:
    """What happens to one layer, in a few words."""
    steps = dict(step.split(": ", 1) for step in folded.steps)
    if name in steps:
        return steps[name]
    if name not in after:
        return _leaving(layer)
    pieces = {piece.removeprefix(name) for piece in after if _is_piece(piece, name, names)}
    changes = ["split into a depthwise and a 1×1 convolution"] if "_conv2d" in pieces else []
    if pieces & {"_activation", "_conv2d_activation"}:
        changes.append(f"its {_activation(layer)} becomes a layer of its own")
    taken = [source for source, step in steps.items() if _is_piece(re.sub(r".* into ", "", step), name, names)]
    changes += [f"takes in {source}" for source in taken]
    if "_conv2d" not in pieces:
        changes += _new_activation(layer, after[name])
    return "; ".join(changes) or "stays"


def _leaving(layer: Any) -> str:
    kind, activation = type(layer).__name__, _activation(layer)
    if kind in TRAINING_ONLY:
        return "left out: works in training only"
    if "softmax" in (kind.lower(), activation):
        return "softmax taken off for training"
    return "merged into the layer before it" if "relu" in (kind.lower(), activation) else "left out: changes nothing"


def _new_activation(layer: Any, after: Any) -> list[str]:
    before, now = _activation(layer), _activation(after)
    if type(layer) is not type(after):
        return [f"becomes {type(after).__name__} {now}"]
    if before == "softmax" and now == "linear":
        return ["softmax taken off for training"]
    return ["takes in the ReLU after it"] if (before, now) == ("linear", "relu") else []


def _activation(layer: Any) -> str:
    return str(getattr(getattr(layer, "activation", None), "__name__", "linear"))
