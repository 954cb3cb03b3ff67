"""Folding keeps the function and loses the BatchNorms: the smallest network of each kind, with random statistics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tf_keras
from hypothesis import given, settings
from hypothesis import strategies as st
from tf_keras import layers

from edge_runtime.errors import ModelError
from edge_runtime.preprocess import Preprocessing
from train.datasets import load_dataset
from train.fold import check_fold, fold, scales_pixels_itself
from train.recipes import RECIPES

CONTRACT = Preprocessing(8, 8, 3)
IMAGES = np.random.default_rng(0).integers(0, 256, (32, 8, 8, 3), np.uint8)
REMOVED = {"BatchNormalization", "Rescaling", "Normalization", "Dropout", "SpatialDropout2D", "RandomFlip", "Softmax", "SeparableConv2D"}
BN, CONV, POOL, NORMALIZATION = layers.BatchNormalization, layers.Conv2D, layers.MaxPooling2D, layers.Normalization
DEPTHWISE, SEPARABLE, TRANSPOSED = layers.DepthwiseConv2D, layers.SeparableConv2D, layers.Conv2DTranspose


def network(*body: Any, head: str | None = None) -> Any:
    """A classifier of 8×8×3 pictures into 3 classes; `head` is the activation of its last layer."""
    return randomized(tf_keras.Sequential([layers.Input((8, 8, 3)), *body, layers.Flatten(), layers.Dense(3, activation=head)]))


def randomized(model: Any, seed: int = 0, negative: bool = False) -> Any:
    """Give every BatchNorm random statistics, gamma below zero for some channels if `negative`, and every bias a value."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, BN):
            size = layer.moving_mean.shape[0]
            signs = rng.choice([-1, 1], size) if negative else np.ones(size)
            drawn = {"gamma": signs * rng.uniform(0.3, 2, size), "beta": rng.normal(size=size)}
            drawn |= {"moving_mean": rng.normal(size=size), "moving_variance": rng.uniform(0.1, 3, size)}
            layer.set_weights([drawn[weight.name.split("/")[-1].split(":")[0]] for weight in layer.weights])
        elif getattr(layer, "use_bias", False):
            *kernels, bias = layer.get_weights()
            layer.set_weights([*kernels, rng.normal(size=bias.shape)])
    return model


def difference(model: Any, folded: Any) -> float:
    """Largest |difference| of the logits, as a share of their range."""
    pixels = CONTRACT.normalize(IMAGES)
    expected, found = model(pixels, training=False).numpy(), folded(pixels, training=False).numpy()
    return float(np.abs(expected - found).max() / np.ptp(expected))


def kinds(model: Any) -> str:
    """The layers between input and head, with the activation of those that have one: "Conv2D:relu MaxPooling2D"."""
    inner = [layer for layer in model.layers if not isinstance(layer, layers.InputLayer)][:-1]
    activations = [getattr(getattr(layer, "activation", None), "__name__", "linear") for layer in inner]
    names = [f"{type(layer).__name__}:{activation}" for layer, activation in zip(inner, activations, strict=True)]
    return " ".join(name.removesuffix(":linear") for name in names if not name.startswith("Flatten"))


def adapted() -> Any:
    layer = NORMALIZATION()
    layer.adapt(CONTRACT.normalize(IMAGES))
    return layer


FOLDS: dict[str, tuple[Callable[[], tuple[Any, ...]], str]] = {
    "conv + BN": (lambda: (CONV(4, 3), BN()), "Conv2D"),
    "conv without bias + BN": (lambda: (CONV(4, 3, use_bias=False), BN()), "Conv2D"),
    "depthwise + BN": (lambda: (DEPTHWISE(3, depth_multiplier=2), BN()), "DepthwiseConv2D"),
    "separable + BN": (lambda: (SEPARABLE(4, 3, depth_multiplier=2, strides=2), BN()), "DepthwiseConv2D Conv2D"),
    "transposed + BN": (lambda: (TRANSPOSED(5, 3), BN()), "Conv2DTranspose"),
    "dense + BN": (lambda: (layers.Flatten(), layers.Dense(6), BN()), "Dense"),
    "grouped conv + BN": (lambda: (CONV(6, 3, groups=3), BN()), "Conv2D"),
    "pool + BN + valid conv": (lambda: (POOL(), BN(), CONV(4, 3)), "MaxPooling2D Conv2D"),
    "pool + BN + valid depthwise": (lambda: (POOL(), BN(), DEPTHWISE(3, depth_multiplier=2)), "MaxPooling2D DepthwiseConv2D"),
    "pool + BN + valid separable": (lambda: (POOL(), BN(), SEPARABLE(4, 3)), "MaxPooling2D DepthwiseConv2D Conv2D"),
    "pool + BN + flatten + dense": (lambda: (POOL(), BN(), layers.Dropout(0.5)), "MaxPooling2D"),
    "BN + average pool + dense": (lambda: (POOL(), BN(), layers.GlobalAveragePooling2D()), "MaxPooling2D GlobalAveragePooling2D"),
    "BN of positive scale + max pool": (lambda: (CONV(4, 3, activation="relu"), BN(), POOL()), "Conv2D:relu MaxPooling2D"),
    "BN of negative scale + max pool": (lambda: (CONV(8, 3, activation="relu"), BN(), POOL()), "Conv2D:relu DepthwiseConv2D MaxPooling2D"),
    "BN + padded conv": (lambda: (POOL(), BN(), CONV(4, 3, padding="same")), "MaxPooling2D DepthwiseConv2D Conv2D"),
    "BN + padding + conv": (lambda: (POOL(), BN(), layers.ZeroPadding2D(), CONV(4, 3)), "MaxPooling2D DepthwiseConv2D ZeroPadding2D Conv2D"),
    "BN + grouped conv": (lambda: (POOL(), BN(), CONV(6, 3, groups=3)), "MaxPooling2D DepthwiseConv2D Conv2D"),
    "BN + BN": (lambda: (POOL(), BN(), BN(), CONV(4, 3, padding="same")), "MaxPooling2D DepthwiseConv2D Conv2D"),
    "BN without scale": (lambda: (CONV(4, 3), BN(scale=False)), "Conv2D"),
    "BN without centre": (lambda: (CONV(4, 3), BN(center=False)), "Conv2D"),
    "BN without either": (lambda: (CONV(4, 3), BN(scale=False, center=False)), "Conv2D"),
    "rescaling + valid conv": (lambda: (layers.Rescaling(2.0, -1.0), CONV(4, 3)), "Conv2D"),
    "rescaling + padded conv": (lambda: (layers.Rescaling(2.0, -1.0), CONV(4, 3, padding="same")), "DepthwiseConv2D Conv2D"),
    "rescaling without offset + padded conv": (lambda: (layers.Rescaling(2.0), CONV(4, 3, padding="same")), "Conv2D"),
    "rescaling per channel": (lambda: (layers.Rescaling([2.0, 3.0, 4.0], [0.0, 1.0, 2.0]), CONV(4, 3)), "Conv2D"),
    "normalization + valid conv": (lambda: (NORMALIZATION(mean=[1.0, 2.0, 3.0], variance=[0.5, 2.0, 4.0]), CONV(4, 3)), "Conv2D"),
    "adapted normalization + padded conv": (lambda: (adapted(), CONV(4, 3, padding="same")), "DepthwiseConv2D Conv2D"),
    "normalization of all channels alike": (lambda: (NORMALIZATION(axis=None, mean=100.0, variance=900.0), CONV(4, 3)), "Conv2D"),
    "normalization without variance": (lambda: (NORMALIZATION(mean=0.5, variance=[0.0, 1.0, 1.0], invert=True), CONV(4, 3)), "Conv2D"),
    "normalization undone": (lambda: (NORMALIZATION(mean=[1.0, 2.0, 3.0], variance=[0.5, 2.0, 4.0], invert=True), CONV(4, 3)), "Conv2D"),
    "training-only layers": (lambda: (layers.RandomFlip(), CONV(4, 3), layers.SpatialDropout2D(0.5), layers.Activation("linear")), "Conv2D"),
    "conv + BN + relu activation": (lambda: (CONV(4, 3), BN(), layers.Activation("relu")), "Conv2D:relu"),
    "transposed + ReLU": (lambda: (TRANSPOSED(4, 3), layers.ReLU()), "Conv2DTranspose:relu"),
    "separable + ReLU": (lambda: (SEPARABLE(4, 3, use_bias=False), layers.ReLU()), "DepthwiseConv2D Conv2D:relu"),
    "pool + BN + ReLU": (lambda: (POOL(), BN(), layers.ReLU()), "MaxPooling2D DepthwiseConv2D:relu"),
    "conv + ReLU(6)": (lambda: (CONV(4, 3), layers.ReLU(6.0)), "Conv2D Activation:relu6"),
    "conv with another activation + BN": (lambda: (CONV(4, 3, activation="swish"), BN()), "Conv2D Activation:swish"),
}


@pytest.mark.parametrize("name", FOLDS)
def test_folding_keeps_the_answers_and_leaves_the_layers_that_can_be_quantized(name: str) -> None:
    body, expected = FOLDS[name]
    model = randomized(network(*body()), negative="negative" in name)
    before = [weight.copy() for weight in model.get_weights()]
    folded = fold(model).model
    assert kinds(folded) == expected
    assert difference(model, folded) <= 1e-5
    assert all(np.array_equal(old, new) for old, new in zip(before, model.get_weights(), strict=True)), "the model itself is left as it is"


def branches(with_reader_between: bool) -> Any:
    """conv(relu) → BN → Add with a second branch; the BN has two readers, so it can be moved nowhere."""
    image = layers.Input((8, 8, 3))
    trunk = BN()(CONV(4, 3, padding="same", activation="relu")(image))
    side = BN()(CONV(4, 1)(trunk if with_reader_between else image))
    return randomized(tf_keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(layers.Add()([trunk, side])))))


@pytest.mark.parametrize("with_reader_between", [True, False])
def test_a_batch_norm_before_an_add_stays_as_a_depthwise_convolution(with_reader_between: bool) -> None:
    model = branches(with_reader_between)
    folded = fold(model)
    assert difference(model, folded.model) <= 1e-5
    assert [step.split(": ")[1].split(" into")[0] for step in folded.steps] == ["became a 1×1 depthwise convolution", "folded back"]


HEADS: dict[str, Callable[[], tuple[Any, ...]]] = {
    "in the dense layer": lambda: (layers.Dense(3, activation="softmax"),),
    "an Activation layer": lambda: (layers.Dense(3), layers.Activation("softmax")),
    "before layers that pass it on": lambda: (layers.Dense(3, activation="softmax"), layers.Dropout(0.5), layers.Reshape((1, 3)), layers.Flatten()),
    "of one place": lambda: (layers.Reshape((1, 1, 144)), CONV(3, 1), layers.Softmax(), layers.Flatten()),
    "a Softmax layer": lambda: (layers.Dense(3), layers.Softmax()),
    "behind a batch norm": lambda: (layers.Dense(3, use_bias=False), BN(), layers.Dropout(0.1), layers.Softmax()),
}


@pytest.mark.parametrize("name", HEADS)
def test_the_softmax_at_the_end_is_removed_however_it_is_written(name: str) -> None:
    model = randomized(tf_keras.Sequential([layers.Input((8, 8, 3)), CONV(4, 3), layers.Flatten(), *HEADS[name]()]))
    folded = fold(model).model
    last = next(layer for layer in reversed(folded.layers) if not isinstance(layer, (layers.Flatten, layers.Reshape)))
    assert (type(last).__name__, last.activation.__name__) in (("Dense", "linear"), ("Conv2D", "linear"))
    assert check_fold(model, folded, IMAGES, CONTRACT) <= 1e-5
    assert np.abs(folded(CONTRACT.normalize(IMAGES)).numpy().sum(axis=1) - 1).max() > 0.01, "logits do not add up to one"


@given(st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=12, deadline=None)
def test_any_statistics_fold(seed: int, negative: bool) -> None:
    body = (
        layers.Rescaling(2.0, -1.0),
        CONV(4, 3, padding="same"),
        BN(),
        layers.ReLU(),
        POOL(),
        BN(),
        CONV(5, 2, activation="relu"),
        BN(),
        POOL(2, 1),
        BN(),
    )
    model = randomized(network(*body), seed, negative)
    folded = fold(model).model
    assert not REMOVED & {type(layer).__name__ for layer in folded.layers}
    assert difference(model, folded) <= 1e-4


@pytest.mark.parametrize("name", RECIPES)
def test_both_recipes_fold_with_any_statistics(name: str) -> None:
    model = randomized(RECIPES[name].build((28, 28, 1), 10), seed=1, negative=True)
    folded = fold(model)
    assert not REMOVED & {type(layer).__name__ for layer in folded.model.layers}
    assert len(folded.steps) == sum(isinstance(layer, BN) for layer in model.layers)
    assert check_fold(model, folded.model, load_dataset("digits").images[:200], Preprocessing(28, 28, 1)) <= 1e-5


def test_a_fold_that_changes_the_answers_is_noticed() -> None:
    model = network(CONV(4, 3), BN(), head="softmax")
    folded = fold(model).model
    folded.layers[1].set_weights([1.5 * weight for weight in folded.layers[1].get_weights()])
    with pytest.raises(ModelError, match="Folding changed the answers"):
        check_fold(model, folded, IMAGES, CONTRACT)


def test_models_inside_the_model_are_laid_open() -> None:
    """As transfer learning makes them: a backbone as one layer, here with a block of its own inside and a name used twice."""
    image = layers.Input((6, 6, 4))
    block = tf_keras.Model(image, layers.ReLU()(BN()(CONV(4, 3, padding="same", name="conv")(image))), name="block")
    backbone = tf_keras.Sequential([layers.Input((8, 8, 3)), CONV(4, 3, name="conv"), BN(), randomized(block, seed=3)], name="backbone")
    model = network(layers.Rescaling(1 / 255), randomized(backbone, seed=2), POOL(), BN())
    folded = fold(model).model
    assert kinds(folded) == "Conv2D Conv2D:relu MaxPooling2D"
    assert [layer.name for layer in folded.layers if isinstance(layer, CONV)] == ["conv", "block_conv"]
    assert difference(model, folded) <= 1e-5


def nested(*body: Any) -> Any:
    return tf_keras.Sequential([layers.Input((8, 8, 3)), *body])


SCALERS: dict[str, tuple[Callable[[], Any], bool]] = {
    "none": (lambda: network(CONV(4, 3)), False),
    "first": (lambda: network(layers.Rescaling(1 / 255), CONV(4, 3)), True),
    "a normalization": (lambda: network(adapted(), CONV(4, 3)), True),
    "behind augmentation": (lambda: network(layers.RandomFlip(), layers.RandomRotation(0.1), layers.Rescaling(1 / 255), CONV(4, 3)), True),
    "behind an augmenting model": (lambda: network(nested(layers.RandomFlip()), layers.Rescaling(1 / 255), CONV(4, 3)), True),
    "inside a backbone": (lambda: network(layers.RandomFlip(), nested(layers.Rescaling(1 / 255), CONV(4, 3)), CONV(4, 3)), True),
    "behind a convolution": (lambda: network(layers.RandomFlip(), CONV(4, 3), layers.Rescaling(1 / 255)), False),
    "beside a bare operation": (lambda: tf_keras.Model(image := layers.Input((8, 8, 3)), layers.Flatten()(layers.Rescaling(2.0)(image) * 2.0)), True),
}


@pytest.mark.parametrize("name", SCALERS)
def test_a_scaling_is_found_wherever_it_comes_first(name: str) -> None:
    build, expected = SCALERS[name]
    assert scales_pixels_itself(build()) is expected


def refused_networks() -> dict[str, Callable[[Any], Any]]:
    shared, resized = CONV(3, 3, padding="same", name="both"), CONV(3, 3, padding="same", name="both")
    return {
        "'both' is used 2 times": lambda image: shared(shared(image)),
        "'both' is used 2 times: ": lambda image: resized(POOL()(resized(image))),
        "'tf.math.multiply.*' is a bare TensorFlow operation": lambda image: image * 2.0,
        "BatchNormalization 'wrong' normalizes axis": BN(axis=1, name="wrong"),
        "Normalization 'rows' normalizes axis": NORMALIZATION(axis=(1, 3), name="rows"),
        "'late' cannot be folded": lambda image: layers.Reshape((3, 1))(layers.ReLU()(BN(name="late")(layers.GlobalMaxPooling2D()(image)))),
    }


@pytest.mark.parametrize("message", refused_networks())
def test_what_cannot_be_folded_is_refused_by_the_name_of_its_layer(message: str) -> None:
    image = layers.Input((8, 8, 3))
    model = tf_keras.Model(image, layers.Dense(3)(layers.Flatten()(refused_networks()[message](image))))
    with pytest.raises(ModelError, match=message):
        fold(model)
