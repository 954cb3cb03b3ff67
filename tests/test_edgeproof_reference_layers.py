"""Layers of models as strangers build them: which can stand for an export's tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edge_runtime.preprocess import Preprocessing
from edgeproof.stages.reference_layers import baseline_layers
from tests.conftest import make_tiny_images
from train.fusion import fused_layers
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
    found = baseline_layers(model, IMAGES, CONTRACT, fused_layers(model))
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
    model = tf_keras.Model(pixels, layers.Dense(3)(layers.Flatten()(inner(pixels))))
    assert baseline_layers(model, IMAGES, CONTRACT, fused_layers(model)) == {}


def trained() -> Any:
    """BatchNorm and ReLU behind a convolution, BatchNorm behind pooling and behind a ReLU; statistics as training leaves them."""
    import tf_keras

    tf_keras.utils.set_random_seed(0)
    layers = tf_keras.layers
    first = [
        layers.Conv2D(4, 3, name="first"),
        layers.BatchNormalization(name="norm"),
        layers.ReLU(name="act"),
        layers.BatchNormalization(name="late"),
    ]
    second = [layers.Conv2D(4, 3, name="second"), layers.Activation("relu6", name="six"), layers.MaxPooling2D(name="pool")]
    end = [layers.BatchNormalization(name="norm2"), layers.Dropout(0.5, name="drop"), layers.Flatten(name="flat"), layers.Dense(3, name="head")]
    model = tf_keras.Sequential([layers.Input((8, 8, 1)), *first, *second, *end])
    for name in ("norm", "late", "norm2"):
        model.get_layer(name).set_weights([np.random.default_rng(1).uniform(0.5, 2, 4) for _ in range(4)])
    return model


def test_what_converters_fuse_is_the_layer_that_computes_it() -> None:
    assert fused_layers(trained()) == {"norm": "first", "act": "first", "six": "second"}, "not what comes behind a ReLU or pooling"


def test_a_fused_layer_answers_what_the_last_of_them_does() -> None:
    model = trained()
    fused, plain = (baseline_layers(model, IMAGES, CONTRACT, names) for names in (fused_layers(model), {}))
    np.testing.assert_array_equal(fused["baseline/first"], plain["baseline/act"])
    np.testing.assert_array_equal(fused["baseline/second"], plain["baseline/six"])
    assert [name.partition("/")[2] for name in fused if name.startswith("baseline/")] == [
        "input", "first", "late", "second", "pool", "norm2", "drop", "flat", "head"
    ]  # fmt: skip


def test_what_folding_forward_changes_is_kept_beside() -> None:
    model = trained()
    found = baseline_layers(model, IMAGES, CONTRACT, fused_layers(model))
    assert [name for name in found if name.startswith("folded/")] == ["folded/flat"]
    np.testing.assert_allclose(found["folded/flat"], found["baseline/pool"].reshape(64, -1), rtol=1e-5, atol=1e-6)
