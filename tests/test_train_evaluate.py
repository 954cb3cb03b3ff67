from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_runtime.preprocess import Preprocessing
from tests.conftest import make_tiny_images
from train.evaluate import predict_probabilities


def classifier(*end: Any) -> Any:
    import tf_keras

    tf_keras.utils.set_random_seed(0)
    layers = tf_keras.layers
    return tf_keras.Sequential([layers.Input((8, 8, 1)), layers.Flatten(), layers.Dense(3, kernel_initializer="random_normal"), *end])


@pytest.mark.parametrize("end", ["nothing", "softmax", "softmax, then a layer that passes it on"])
def test_every_head_gives_the_same_probabilities(end: str) -> None:
    from tf_keras import layers

    heads = {"nothing": [], "softmax": [layers.Softmax()]}
    model = classifier(*heads.get(end, [layers.Activation("softmax"), layers.Activation("linear", dtype="float32")]))
    images, contract = make_tiny_images(50, seed=0), Preprocessing(8, 8, 1)
    logits = classifier()(contract.normalize(images)).numpy()
    wanted = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(predict_probabilities(model, images, contract), wanted, rtol=1e-4)
