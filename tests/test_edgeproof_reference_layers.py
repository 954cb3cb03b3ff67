"""Layers of models as strangers build them: which can stand for an export's tensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge_runtime.preprocess import Preprocessing
from edgeproof.stages.reference_layers import baseline_layers
from tests.conftest import make_tiny_images
from train.model_files import load_model

CONTRACT, IMAGES = Preprocessing(8, 8, 1), make_tiny_images(70, seed=0)


def test_a_layer_used_twice_is_left_out_and_a_last_softmax_taken_off(tmp_path: Path) -> None:
    import tf_keras

    layers = tf_keras.layers
    pixels = layers.Input((8, 8, 1))
    twice = layers.Conv2D(1, 3, padding="same", name="twice")
    flat = layers.Flatten(name="flat")(twice(twice(pixels)))
    tf_keras.Model(pixels, layers.Dense(3, activation="softmax", name="head")(flat)).save(tmp_path / "net.keras")
    model = load_model(tmp_path / "net.keras")
    found = baseline_layers(model, IMAGES, CONTRACT)
    assert {name: values.shape for name, values in found.items()} == {
        "baseline/input": (64, 8, 8, 1), "baseline/flat": (64, 64), "baseline/head": (64, 3),
    }  # fmt: skip
    kernel, bias = model.get_layer("head").get_weights()
    np.testing.assert_allclose(found["baseline/head"], found["baseline/flat"] @ kernel + bias, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model(CONTRACT.normalize(IMAGES)).numpy().sum(axis=1), 1, rtol=1e-5, err_msg="the softmax is back")


def test_nothing_is_kept_of_a_model_with_another_inside() -> None:
    import tf_keras

    layers = tf_keras.layers
    inner = tf_keras.Sequential([layers.Input((8, 8, 1)), layers.Conv2D(4, 3)])
    pixels = layers.Input((8, 8, 1))
    assert baseline_layers(tf_keras.Model(pixels, layers.Dense(3)(layers.Flatten()(inner(pixels)))), IMAGES, CONTRACT) == {}
