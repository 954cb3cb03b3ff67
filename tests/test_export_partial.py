"""Exactly the layers left out of quantization compute in float: read from the file, and run on both runtimes."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras
from tf_keras import layers

from edge_runtime.metadata import ModelMetadata
from edge_runtime.preprocess import Preprocessing
from edge_runtime.tensors import Quantization
from edge_runtime.worker import run_in_subprocess
from export.audit import audit
from export.embed import embed_tflite
from export.partial import convert_partial, float_layers
from train.datasets import load_dataset
from train.fold import fold
from train.partial import partially_quantized, quantized_layers
from train.qat import float_twin, quantize_aware

CONTRACT = Preprocessing(28, 28, 1)
MOVERS = ("QUANTIZE", "DEQUANTIZE")


def chain(image: Any) -> Any:
    first = layers.Conv2D(4, 3, strides=2, activation="relu", name="first")(image)
    second = layers.Conv2D(6, 3, activation="relu", name="second")(first)
    pooled = layers.MaxPooling2D(name="pool")(second)
    third = layers.DepthwiseConv2D(3, name="third")(pooled)
    return layers.Dense(3, name="last")(layers.Flatten(name="flat")(third))


def branches(image: Any) -> Any:
    stem = layers.Conv2D(4, 3, strides=3, activation="relu", name="stem")(image)
    left = layers.ReLU(6.0, name="six")(layers.Conv2D(4, 3, padding="same", name="left")(stem))
    right = layers.LeakyReLU(0.2, name="leaky")(layers.Conv2D(4, 1, name="right")(stem))
    beside = layers.Conv2D(2, 1, name="beside")(stem)
    joined = layers.Concatenate(name="joined")([layers.Add(name="sum")([left, right]), beside])
    return layers.Dense(3, name="last")(layers.GlobalAveragePooling2D(name="mean")(joined))


NETWORKS: dict[str, Callable[[Any], Any]] = {"chain": chain, "branches": branches}
CASES = [
    ("chain", {"first"}),
    ("chain", {"second"}),
    ("chain", {"third"}),
    ("chain", {"last"}),
    ("chain", {"second", "third"}),
    ("branches", {"left"}),
    ("branches", {"right"}),
    ("branches", {"beside"}),
]


@cache
def images() -> np.ndarray:
    """uint8 [64, 28, 28, 1]"""
    return load_dataset("digits").images[:64]


@cache
def networks(name: str) -> tuple[Any, Any]:
    """(folded, QAT) of an untrained network."""
    tf_keras.utils.set_random_seed(0)
    image = layers.Input((28, 28, 1))
    folded = fold(tf_keras.Model(image, NETWORKS[name](image), name=name)).model
    return folded, quantize_aware(folded, images(), CONTRACT)


def answers(model: Any) -> np.ndarray:
    return np.asarray(model(CONTRACT.normalize(images()), training=False))


def converted(name: str, keep_float: set[str], *, softmax: bool = False) -> bytes:
    return convert_partial(partially_quantized(networks(name)[1], keep_float), softmax=softmax)


def test_the_layers_with_weights_can_be_left_out() -> None:
    assert quantized_layers(networks("chain")[1]) == ["first", "second", "third", "last"]
    assert set(quantized_layers(networks("branches")[1])) == {"stem", "left", "right", "beside", "last"}


@pytest.mark.parametrize("name", NETWORKS)
def test_with_nothing_left_out_it_is_the_qat_model_and_with_everything_the_float_one(name: str) -> None:
    folded, qat = networks(name)
    assert np.array_equal(answers(partially_quantized(qat, ())), answers(qat))
    everything = answers(partially_quantized(qat, quantized_layers(qat)))
    assert everything == pytest.approx(answers(float_twin(qat, folded)), abs=1e-5)
    assert np.abs(everything - answers(qat)).max() > 1e-3


@pytest.mark.parametrize(("name", "keep_float"), CASES, ids=lambda value: value if isinstance(value, str) else "+".join(sorted(value)))
def test_exactly_the_layers_left_out_are_float_and_both_runtimes_run_them(name: str, keep_float: set[str], tmp_path: Path) -> None:
    qat = networks(name)[1]
    content = converted(name, keep_float)
    assert float_layers(content, quantized_layers(qat)) == keep_float
    found = audit(content)
    computing = [operator for operator in found.operators if operator.dtype == "float32" and operator.kind not in MOVERS]
    assert len([operator for operator in computing if operator.macs]) == len(keep_float)
    assert all(operator.macs or "pool" in operator.name for operator in computing), "and the pooling between two of them"
    assert not found.is_int8
    assert (found.input_dtype, found.output_dtype) == ("int8", "float32" if "last" in keep_float else "int8")
    expected = answers(partially_quantized(qat, keep_float))
    assert np.abs(expected - answers(qat)).max() < 0.05 * np.ptp(answers(qat)), "what follows a float layer is quantized by the range it learnt"
    for runtime in ("ai-edge-litert", "tflite-runtime"):
        difference = np.abs(run(content, runtime, tmp_path) - expected)
        assert difference.max() < 0.05 * np.ptp(answers(qat)), runtime


def run(content: bytes, runtime: str, folder: Path) -> np.ndarray:
    """float [n, 3]: what a runtime answers, dequantized."""
    model, inputs, outputs = folder / "model.tflite", folder / "images.npy", folder / "outputs.npy"
    model.write_bytes(embed_tflite(content, ModelMetadata("small", "tflite-mixed", ("a", "b", "c"), CONTRACT)))
    np.save(inputs, images())
    done = run_in_subprocess({"job": "predict", "model": str(model), "images": str(inputs), "outputs": str(outputs)}, runtime)
    raw = np.load(outputs)
    return Quantization(**done["quantization"]).dequantize(raw) if done["quantization"] else raw


def test_nothing_is_left_of_what_kept_a_layer_float() -> None:
    kinds = [operator.kind for operator in audit(converted("chain", {"second"})).operators]
    assert kinds == ["CONV_2D", "DEQUANTIZE", "CONV_2D", "QUANTIZE", "MAX_POOL_2D", "DEPTHWISE_CONV_2D", "RESHAPE", "FULLY_CONNECTED"]


def test_a_leaky_relu_of_the_network_s_own_stays() -> None:
    kinds = [(operator.kind, operator.dtype) for operator in audit(converted("branches", {"right"})).operators]
    assert kinds.count(("LEAKY_RELU", "int8")) == 1
    assert ("LEAKY_RELU", "float32") not in kinds


def test_pooling_between_two_float_layers_is_float_too() -> None:
    operators = audit(converted("chain", {"second", "third"})).operators
    assert [operator.dtype for operator in operators if operator.kind == "MAX_POOL_2D"] == ["float32"]
    assert [operator.kind for operator in operators].count("QUANTIZE") == 1


def test_probabilities_come_from_where_the_logits_are() -> None:
    assert audit(converted("chain", {"second"}, softmax=True)).output_dtype == "int8"
    last = audit(converted("chain", {"last"}, softmax=True))
    assert (last.operators[-1].kind, last.operators[-1].dtype) == ("SOFTMAX", "float32")


def test_the_same_model_gives_the_same_bytes() -> None:
    assert converted("chain", {"second"}) == converted("chain", {"second"})
