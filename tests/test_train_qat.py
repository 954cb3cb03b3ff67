"""Fine-tuning starts from a sound quantization: every tensor's range observed, every weight rounded, and what is refused named at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras
from tf_keras import layers

from edge_runtime.errors import ModelError
from edge_runtime.preprocess import Preprocessing
from train.datasets import load_dataset
from train.fit import fit
from train.fold import fold
from train.model_files import model_bytes
from train.qat import INPUT, activation_ranges, float_twin, load_qat, observed_ranges, preflight, quantize_aware
from train.recipes import RECIPES, Training
from train.splits import Split

CONTRACT = Preprocessing(28, 28, 1)


@cache
def images() -> np.ndarray:
    """uint8 [64, 28, 28, 1]"""
    return load_dataset("digits").images[:64]


@cache
def folded(name: str) -> Any:
    tf_keras.utils.set_random_seed(0)
    return fold(RECIPES[name].build((28, 28, 1), 10)).model


@cache
def quantized(name: str) -> Any:
    return quantize_aware(folded(name), images(), CONTRACT)


def answers(model: Any) -> np.ndarray:
    return model(CONTRACT.normalize(images()), training=False).numpy()


def small(*body: Any) -> Any:
    """A folded classifier of 28×28×1 pictures with this body."""
    return fold(tf_keras.Sequential([layers.Input((28, 28, 1)), *body, layers.Flatten(), layers.Dense(3)])).model


def weights(model: Any, ending: str) -> dict[str, np.ndarray]:
    """Every variable whose name ends so, by layer/variable."""
    named = {f"{layer.name}/{weight.name.split('/')[-1].split(':')[0]}": weight.numpy() for layer in model.layers for weight in layer.weights}
    return {name: value for name, value in named.items() if name.endswith(ending)}


def test_every_refused_layer_is_listed_at_once_with_its_remedy() -> None:
    model = small(
        layers.Conv2D(4, 3, name="first"), layers.ELU(name="bend"), layers.LayerNormalization(name="even"), layers.RandomCrop(8, 8, name="cut")
    )
    problems = preflight(model)
    assert [problem.split(":")[0] for problem in problems] == ["bend (ELU)", "even (LayerNormalization)", "cut (RandomCrop)"]
    assert ["use ReLU" in problems[0], "use BatchNormalization" in problems[1], "crop before the model" in problems[2]] == [True] * 3
    with pytest.raises(ModelError) as caught:
        quantize_aware(model, images(), CONTRACT)
    assert str(caught.value).startswith("3 layer(s) cannot be quantized: bend (ELU)")
    assert all(problem in str(caught.value) for problem in problems)
    assert "\n" not in str(caught.value)


def test_a_refused_activation_is_listed_like_a_refused_layer() -> None:
    model = small(layers.Conv2D(4, 3, activation="elu", name="first"), layers.Activation("softplus", name="second"), layers.Activation("relu6"))
    assert [problem.split(":")[:2] for problem in preflight(model)] == [
        ["first_activation (Activation)", " activation elu"],
        ["second (Activation)", " activation softplus"],
    ]


@pytest.mark.parametrize("name", RECIPES)
def test_the_recipes_pass_the_preflight(name: str) -> None:
    assert preflight(folded(name)) == []


@pytest.mark.parametrize("name", RECIPES)
def test_every_range_starts_where_the_folded_model_s_values_are(name: str) -> None:
    ranges, observed = activation_ranges(quantized(name)), observed_ranges(folded(name), images(), CONTRACT)
    assert ranges[INPUT] == (0, 1)
    assert {layer.name for layer in folded(name).layers if layer.weights} <= set(ranges)
    for layer, (low, high) in ranges.items():
        assert (low, high) == pytest.approx((min(observed[layer][0], 0), max(observed[layer][1], 0)), rel=1e-6), layer
    limits = weights(quantized(name), "_min") | weights(quantized(name), "_max")
    assert not [key for key, value in limits.items() if (np.abs(value) == 6).any()], "6 is where the library starts"


@pytest.mark.parametrize("name", RECIPES)
def test_every_weight_is_rounded_by_its_own_range(name: str) -> None:
    limits = weights(quantized(name), "kernel_max")
    trained = [layer for layer in folded(name).layers if layer.weights]
    assert set(limits) == {f"quant_{layer.name}/kernel_max" for layer in trained}
    for layer in trained:
        kernel = np.abs(layer.get_weights()[0])
        largest = kernel.max(axis=(0, 1, 2)) if kernel.ndim == 4 else kernel.max()
        assert np.allclose(limits[f"quant_{layer.name}/kernel_max"], largest, rtol=1e-5), "per channel in a convolution, per tensor in a dense layer"


BODIES: dict[str, Callable[[], tuple[Any, ...]]] = {
    "relu": lambda: (layers.Conv2D(4, 3), layers.ReLU()),
    "relu6": lambda: (layers.Conv2D(4, 3), layers.ReLU(6.0), layers.DepthwiseConv2D(3, activation="relu6")),
    "transposed": lambda: (layers.Conv2DTranspose(4, 3), layers.BatchNormalization(), layers.ReLU()),
    "separable": lambda: (layers.SeparableConv2D(4, 3, use_bias=False), layers.ReLU()),
    "batch norm after pooling": lambda: (layers.MaxPooling2D(), layers.BatchNormalization(), layers.ReLU(), layers.Conv2D(4, 3, padding="same")),
    "curved": lambda: (layers.Conv2D(4, 3, activation="gelu"), layers.Conv2D(4, 3, activation="tanh"), layers.Conv2D(4, 3, activation="swish")),
}


@pytest.mark.parametrize("name", BODIES)
def test_no_layer_keeps_float_weights_or_an_unobserved_range(name: str) -> None:
    model = small(*BODIES[name]())
    aware = quantize_aware(model, images(), CONTRACT)
    assert {key.split("/")[0] for key in weights(aware, "kernel_min")} == {f"quant_{layer.name}" for layer in model.layers if layer.weights}
    assert not [key for key, value in weights(aware, "_min").items() if (value == -6).any()]
    twin = float_twin(aware, model)
    assert np.array_equal(answers(twin), answers(model))


@pytest.mark.parametrize("name", RECIPES)
def test_before_any_training_it_answers_nearly_as_the_folded_model(name: str) -> None:
    expected, found = answers(folded(name)), answers(quantized(name))
    assert 0 < np.abs(found - expected).max() < 0.05 * np.ptp(expected)


@pytest.mark.parametrize("name", RECIPES)
def test_the_float_twin_is_the_folded_model_before_any_training(name: str) -> None:
    assert np.array_equal(answers(float_twin(quantized(name), folded(name))), answers(folded(name)))


def test_training_with_a_teacher_keeps_its_answers_where_labels_would_change_them() -> None:
    part = np.arange(512)
    split = Split(0, part[:384], part[384:], part[:64], part[:0])
    apart = {}
    for teacher in (folded("compact"), None):
        model = quantize_aware(folded("compact"), images(), CONTRACT)
        history = fit(model, load_dataset("digits"), split, CONTRACT, Training(1, 64, 1e-3, 1), seed=0, teacher=teacher)
        assert ("val_agreement" in history.epochs[0]) == (teacher is not None)
        apart[teacher is not None] = np.abs(answers(model) - answers(folded("compact"))).mean()
    assert apart[True] < apart[False] / 2


def test_training_reaches_the_float_twin_and_the_ranges(tmp_path: Path) -> None:
    part = np.arange(512)
    model = quantize_aware(folded("compact"), images(), CONTRACT)
    before = activation_ranges(model)
    split = Split(0, part[:384], part[384:], part[:64], part[:0])
    history = fit(model, load_dataset("digits"), split, CONTRACT, Training(1, 64, 1e-3, 1), seed=0)
    assert len(history.epochs) == 1
    assert history.best_epoch == 1
    assert np.isfinite(history.epochs[0]["val_loss"])
    assert activation_ranges(model) != before
    twin = float_twin(model, folded("compact"))
    shift, rounding = np.abs(answers(twin) - answers(folded("compact"))).max(), np.abs(answers(twin) - answers(model)).max()
    assert shift > 3 * rounding > 0, "the twin has the trained weights, without their rounding"


@pytest.mark.parametrize("name", RECIPES)
def test_a_saved_qat_model_answers_identically(name: str, tmp_path: Path) -> None:
    (tmp_path / "qat.h5").write_bytes(model_bytes(quantized(name), ".h5"))
    loaded = load_qat(tmp_path / "qat.h5")
    assert np.array_equal(answers(loaded), answers(quantized(name)))
    assert activation_ranges(loaded) == activation_ranges(quantized(name))
    assert np.array_equal(answers(float_twin(loaded, folded(name))), answers(folded(name)))
