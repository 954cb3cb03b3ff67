"""What the layers of a Keras model answer, kept in `layers.npz` for exports that fail to be compared with. Needs TensorFlow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.layers import INPUT, KerasLayers
from edge_runtime.preprocess import Preprocessing

if TYPE_CHECKING:
    import numpy as np

    from train.fold import Affine

CHECKED_IMAGES = 64  # the first that are judged
_LAYER_BYTES = 256e6  # of activations: a large network is looked at on fewer images


def reference_layers(model: Any, stage: str, images: np.ndarray, contract: Preprocessing) -> dict[str, np.ndarray]:
    """float32 outputs of every layer and the input, by "<stage>/<Keras layer name>", on the first of uint8 images [n, H, W, C]."""
    from train.qat import keras_name

    return {f"{stage}/{keras_name(name)}": values for name, values in _answers(model, images, contract).items()}


def baseline_layers(model: Any, images: np.ndarray, contract: Preprocessing) -> KerasLayers:
    """The same of a model as a stranger built it: only layers that an export's tensors can stand for.

    Without those that are used twice, and with logits for a last layer that ends in softmax: exports keep the softmax as a step of its own.
    Nothing at all of a model with other models inside.
    """
    from train.evaluate import without_softmax
    from train.fusion import fusion_of

    try:
        with without_softmax(model):
            outputs = _answers(model, images, contract)
    except (ValueError, TypeError, AttributeError):  # Keras cannot tap inner models, nor layers with several outputs
        return KerasLayers({})
    for layer in model.layers:
        if len(layer.inbound_nodes) > 1 or type(layer).__name__ == "Softmax":
            outputs.pop(layer.name, None)
    fusion = fusion_of(model)
    fused = {name: into for name, into in fusion.computed_in.items() if {name, into} <= outputs.keys()}
    for name, into in fused.items():  # in the network's order: the last one's answer stays
        outputs[into] = outputs.pop(name)
    folded = {name: _without(affine, outputs[name]) for name, affine in fusion.carried_past.items() if name in outputs}
    return KerasLayers(outputs, folded, fused)


def _answers(model: Any, images: np.ndarray, contract: Preprocessing) -> dict[str, np.ndarray]:
    from train.evaluate import layer_outputs

    one = sum(values.nbytes for values in layer_outputs(model, images[:1], contract).values())
    looked_at = images[: max(4, min(CHECKED_IMAGES, int(_LAYER_BYTES // one)))]
    return {INPUT: contract.normalize(looked_at), **layer_outputs(model, looked_at, contract)}


def _without(affine: Affine, values: np.ndarray) -> np.ndarray:
    """What a layer answers where the BatchNorm before it is not computed yet; behind a Flatten the channels repeat."""
    import numpy as np

    repeats = values.shape[-1] // len(affine.scale)
    return ((values - np.tile(affine.offset, repeats)) / np.tile(affine.scale, repeats)).astype(np.float32)
