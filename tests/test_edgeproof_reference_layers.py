"""Layers of models as strangers build them: which can stand for an export's tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.layers import KerasLayers
from edge_runtime.preprocess import Preprocessing
from edgeproof.stages import reference_layers as stage
from edgeproof.stages.reference_layers import baseline_layers
from tests.conftest import make_tiny_images
from train.evaluate import layer_outputs
from train.fusion import fusion_of
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
    found = baseline_layers(model, IMAGES, CONTRACT).outputs
    assert {name: values.shape for name, values in found.items()} == {"input": (64, 8, 8, 1), "flat": (64, 64), "head": (64, 3)}
    kernel, bias = model.get_layer("head").get_weights()
    np.testing.assert_allclose(found["head"], found["flat"] @ kernel + bias, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model(CONTRACT.normalize(IMAGES)).numpy().sum(axis=1), 1, rtol=1e-5, err_msg="the softmax is back")


def test_nothing_is_kept_of_a_model_with_another_inside() -> None:
    import tf_keras

    layers = tf_keras.layers
    inner = tf_keras.Sequential([layers.Input((8, 8, 1)), layers.Conv2D(4, 3)])
    pixels = layers.Input((8, 8, 1))
    model = tf_keras.Model(pixels, layers.Dense(3)(layers.Flatten()(inner(pixels))))
    assert baseline_layers(model, IMAGES, CONTRACT) == KerasLayers({})


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
    assert fusion_of(trained()).computed_in == {"norm": "first", "act": "first", "six": "second"}, "not what comes behind a ReLU or pooling"


def test_a_batch_norm_that_stays_and_a_separable_convolution_take_in_what_follows_them() -> None:
    import tf_keras

    layers = tf_keras.layers
    pixels = layers.Input((8, 8, 1))
    added = layers.Add(name="sum")([layers.Conv2D(4, 3, padding="same", name=name)(pixels) for name in ("left", "right")])
    inner = layers.ReLU(name="act")(layers.BatchNormalization(name="norm")(added))
    inner = layers.SeparableConv2D(4, 3, name="sep")(inner)
    inner = layers.ReLU(name="act2")(layers.BatchNormalization(name="norm2")(inner))
    model = tf_keras.Model(pixels, layers.Dense(3, name="head")(layers.Flatten(name="flat")(inner)))
    assert fusion_of(model).computed_in == {"act": "norm", "norm2": "sep", "act2": "sep"}


def test_a_fused_layer_answers_what_the_last_of_them_does() -> None:
    model = trained()
    found, all_layers = baseline_layers(model, IMAGES, CONTRACT), layer_outputs(model, IMAGES[:64], CONTRACT)
    np.testing.assert_array_equal(found.outputs["first"], all_layers["act"])
    np.testing.assert_array_equal(found.outputs["second"], all_layers["six"])
    assert list(found.outputs) == ["input", "first", "late", "second", "pool", "norm2", "drop", "flat", "head"]
    assert found.fused == {"norm": "first", "act": "first", "six": "second"}


def test_what_folding_forward_changes_is_kept_beside() -> None:
    found = baseline_layers(trained(), IMAGES, CONTRACT)
    assert list(found.folded) == ["flat"]
    np.testing.assert_allclose(found.folded["flat"], found.outputs["pool"].reshape(64, -1), rtol=1e-4, atol=1e-5)


def strange(kind: str) -> Any:
    """Networks that folding would rebuild in another way, or not at all."""
    import tf_keras

    layers = tf_keras.layers
    pixels = layers.Input((8, 8, 1))
    if kind == "separable":
        inner = layers.SeparableConv2D(4, 3, name="sep")(layers.Conv2D(3, 1, name="first")(pixels))
    elif kind == "activated":
        inner = layers.Conv2D(4, 3, activation="tanh", name="first")(pixels)
    elif kind == "attention":
        words = layers.Reshape((8, 8), name="words")(layers.Conv2D(1, 1, name="first")(pixels))
        inner = layers.MultiHeadAttention(2, 4, name="attention")(words, words)
    else:
        inner = layers.ReLU(name="quant_act")(layers.Conv2D(4, 3, name="quant_first")(pixels))
    return tf_keras.Model(pixels, layers.Dense(3, name="head")(layers.Flatten(name="flat")(inner)))


@pytest.mark.parametrize(
    ("kind", "kept"),
    [
        ("separable", ["input", "first", "sep", "flat", "head"]),
        ("activated", ["input", "first", "flat", "head"]),
        ("attention", ["input", "first", "words", "attention", "flat", "head"]),
        ("called like a quantizer", ["input", "quant_first", "flat", "head"]),
    ],
)
def test_layers_of_strange_networks_answer_what_keras_says(kind: str, kept: list[str]) -> None:
    model = strange(kind)
    found, all_layers = baseline_layers(model, IMAGES, CONTRACT), layer_outputs(model, IMAGES[:64], CONTRACT)
    assert (list(found.outputs), found.folded) == (kept, {})
    for name in kept[1:]:
        np.testing.assert_array_equal(found.outputs[name], all_layers["quant_act" if name == "quant_first" else name])


def test_a_large_network_is_looked_at_on_fewer_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "_LAYER_BYTES", 60e3)
    found = baseline_layers(trained(), IMAGES, CONTRACT)
    counts = {len(values) for values in (*found.outputs.values(), *found.folded.values())}
    assert len(counts) == 1
    assert counts.pop() < 64
