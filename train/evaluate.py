"""Runs Keras models: the only place that turns one into probabilities."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from edge_runtime.errors import ModelError
from edge_runtime.preprocess import Preprocessing
from edge_runtime.progress import Progress, silent
from edge_runtime.tensors import are_probabilities, softmax
from train.head import ends_in_softmax, head_layer

BATCH = 500


def predict_probabilities(model: Any, images: np.ndarray, contract: Preprocessing, progress: Progress = silent) -> np.ndarray:
    """float32 [N, classes] of uint8 images [N, H, W, C]. ModelError when the answers are not finite.

    Answers that are probabilities already stay: behind a softmax there may be layers that only pass it on.
    """
    outputs = []
    for begin in range(0, len(images), BATCH):
        batch = images[begin : begin + BATCH]
        outputs.append(np.asarray(model(contract.normalize(batch), training=False), np.float32))
        progress(begin + len(batch), len(images), "")
    answers = np.concatenate(outputs)
    if not np.isfinite(answers).all():
        raise ModelError("The model answers with NaN or infinity: its weights are damaged, or training diverged.")
    return answers if ends_in_softmax(model) or are_probabilities(answers) else softmax(answers)


def layer_outputs(model: Any, images: np.ndarray, contract: Preprocessing) -> dict[str, np.ndarray]:
    """float32 outputs of every layer for uint8 images [N, H, W, C], by layer name."""
    import tf_keras

    layers = [layer for layer in model.layers if type(layer).__name__ != "InputLayer"]
    inner = tf_keras.Model(model.inputs, [layer.output for layer in layers])
    values = inner(contract.normalize(images), training=False)
    values = values if isinstance(values, list) else [values]
    return {layer.name: np.asarray(value, np.float32) for layer, value in zip(layers, values, strict=True)}


@contextmanager
def without_softmax(model: Any) -> Iterator[None]:
    """Meanwhile the last layer answers with logits, if its activation is softmax."""
    import tf_keras

    last = head_layer(model)
    softmax = getattr(last, "activation", None)
    if softmax is None or not ends_in_softmax(model):
        yield
        return
    last.activation = tf_keras.activations.linear
    try:
        yield
    finally:
        last.activation = softmax


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """int64 [classes, classes]: rows are the true class, columns the answer."""
    from sklearn import metrics

    return metrics.confusion_matrix(labels, predicted, labels=np.arange(classes))
