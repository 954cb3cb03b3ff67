"""What the layers of a Keras model answer, kept in `layers.npz` for exports that fail to be compared with. Needs TensorFlow."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import TYPE_CHECKING, Any

from edge_runtime.errors import ModelError
from edge_runtime.preprocess import Preprocessing

if TYPE_CHECKING:
    import numpy as np

CHECKED_IMAGES = 64  # the first that are judged
_LAYER_BYTES = 256e6  # of activations: a large network is looked at on fewer images


def reference_layers(model: Any, stage: str, images: np.ndarray, contract: Preprocessing) -> dict[str, np.ndarray]:
    """float32 outputs of every layer and the input, by "<stage>/<Keras layer name>", on the first of uint8 images [n, H, W, C]."""
    from train.evaluate import layer_outputs
    from train.qat import keras_name

    one = sum(values.nbytes for values in layer_outputs(model, images[:1], contract).values())
    looked_at = images[: max(4, min(CHECKED_IMAGES, int(_LAYER_BYTES // one)))]
    outputs = {f"{stage}/input": contract.normalize(looked_at)}
    return outputs | {f"{stage}/{keras_name(name)}": values for name, values in layer_outputs(model, looked_at, contract).items()}


def baseline_layers(model: Any, images: np.ndarray, contract: Preprocessing, fused: Mapping[str, str]) -> dict[str, np.ndarray]:
    """The same of a model as a stranger built it, under "baseline/": only layers that an export's tensors can stand for.

    Without those that are used twice, and with logits for a last layer that ends in softmax: exports keep the softmax as a step of its own.
    Of layers that are `fused` into another, what the last of them answers, under that one's name. Under "folded/" what layers answer once
    BatchNorm is folded, where that is something else. Nothing at all of a model with other models inside.
    """
    from train.evaluate import without_softmax

    try:
        with without_softmax(model):
            outputs = reference_layers(model, "baseline", images, contract)
    except (ValueError, TypeError, AttributeError):  # Keras cannot tap inner models, nor layers with several outputs
        return {}
    left_out = {f"baseline/{layer.name}" for layer in model.layers if len(layer.inbound_nodes) > 1 or type(layer).__name__ == "Softmax"}
    for name, into in fused.items():  # in the network's order
        outputs[f"baseline/{into}"] = outputs.pop(f"baseline/{name}")
    kept = {name: values for name, values in outputs.items() if name not in left_out}
    return kept | _changed_by_folding(model, kept, {*fused.values()}, images, contract)


def _changed_by_folding(
    model: Any, outputs: Mapping[str, np.ndarray], computing: Container[str], images: np.ndarray, contract: Preprocessing
) -> dict[str, np.ndarray]:
    """Layers between a BatchNorm and the linear layer that it is folded forward into. computing: those that others are fused into."""
    import numpy as np

    from train.fold import fold

    try:
        folded = reference_layers(fold(model).model, "folded", images, contract)
    except ModelError:  # nobody can have folded it
        return {}
    layers = [name.partition("/")[2] for name in outputs]
    pairs = {layer: (outputs[f"baseline/{layer}"], folded.get(f"folded/{layer}")) for layer in layers if layer not in computing}
    return {f"folded/{layer}": b for layer, (a, b) in pairs.items() if b is not None and not np.allclose(a, b, rtol=1e-3, atol=1e-4)}
