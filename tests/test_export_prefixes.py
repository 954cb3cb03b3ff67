"""Prefixes compute what the network computes at that place, and one more operator is all that one has more than the one before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from edge_runtime.errors import InputError, UnsupportedModelError
from edge_runtime.interpreter import OpenModel, open_model
from edge_runtime.onnx_model import write_optimized
from export.audit import audit
from export.prefixes import MOST_STEPS, Node, prefix_of, steps_of
from export.prefixes_onnx import cut_onnx
from export.prefixes_tflite import cut_tflite

BRANCHED = """
import sys, tf_keras
import tensorflow as tf
layers = tf_keras.layers
image = layers.Input((8, 8, 1), batch_size=1)
first = layers.Conv2D(4, 3, padding="same", name="first")(image)
left = layers.ReLU(name="left")(first)
right = layers.MaxPooling2D(3, strides=1, padding="same", name="right")(first)
joined = layers.Concatenate(name="joined")([layers.Conv2D(2, 1, name="second")(left), right])
model = tf_keras.Model(image, layers.Dense(3, name="head")(layers.GlobalAveragePooling2D(name="pool")(joined)))
open(sys.argv[1], "wb").write(tf.lite.TFLiteConverter.from_keras_model(model).convert())
"""


@pytest.fixture(scope="module")
def branched(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("branched") / "branched.tflite"
    done = subprocess.run([sys.executable, "-c", BRANCHED, path], capture_output=True, text=True, env={"TF_USE_LEGACY_KERAS": "1"})
    assert done.returncode == 0, done.stderr
    return path.read_bytes()


def answer(model: OpenModel, values: np.ndarray) -> np.ndarray:
    model.set_input(values)
    model.invoke()
    return model.get_output()


def some_input(model: OpenModel) -> np.ndarray:
    rng = np.random.default_rng(0)
    floats = model.input.dtype.startswith("float")
    return (rng.random(model.input.shape) if floats else rng.integers(-100, 100, model.input.shape)).astype(model.input.dtype)


@pytest.mark.parametrize("format", ["tflite-float32", "tflite-float16", "tflite-dynamic", "tflite-int8", "tflite-int16x8"])
def test_a_prefix_gives_out_what_its_last_operator_wrote(tiny_artifacts: dict[str, Path], format: str) -> None:
    content = tiny_artifacts[format].read_bytes()
    found = cut_tflite(content)
    kept = open_model(content, runtime="ai-edge-litert", kernels="builtin", keep_tensors=True)
    values = some_input(kept)
    answer(kept, values)
    inner = kept.inner_tensors()
    prefixes = [open_model(prefix, runtime="ai-edge-litert", kernels="builtin", part=True) for prefix in found.prefixes]
    assert np.array_equal(answer(prefixes[0], values), values)
    assert len(inner) == len(found.steps) == len(prefixes) - 1
    for prefix, tensor in zip(prefixes[1:], inner, strict=True):
        assert np.array_equal(answer(prefix, values), tensor.values)


@pytest.mark.parametrize("format", ["tflite-float32", "tflite-float16", "tflite-int8"])
def test_steps_are_the_operators_that_compute(tiny_artifacts: dict[str, Path], format: str) -> None:
    content = tiny_artifacts[format].read_bytes()
    steps = cut_tflite(content).steps
    assert [step.operator.kind for step in steps] == ["CONV_2D", "MEAN", "FULLY_CONNECTED"], "what unpacks weights is no step"
    assert sum(step.operator.macs or 0 for step in steps) == audit(content).macs
    for step, layer in zip(steps, ("conv2d", "global_average_pooling2d", "dense"), strict=True):
        assert any(layer in name for name in step.names), step.names


def test_a_prefix_that_ends_between_branches_gives_out_all_that_is_still_needed(branched: bytes) -> None:
    found = cut_tflite(branched)
    whole = open_model(branched, runtime="ai-edge-litert")
    values = some_input(whole)
    several = 0
    for prefix in found.prefixes:
        model = open_model(prefix, runtime="ai-edge-litert", part=True)
        last = answer(model, values)
        several += len(audit(prefix).outputs) > 1 if model is not None and prefix != found.prefixes[0] else 0
    assert several >= 2
    np.testing.assert_allclose(last, answer(whole, values), rtol=1e-5, atol=1e-6)


def test_only_a_part_may_have_several_outputs(branched: bytes) -> None:
    several = next(prefix for prefix in cut_tflite(branched).prefixes[1:] if len(audit(prefix).outputs) > 1)
    with pytest.raises(UnsupportedModelError, match="Expected one input and one output"):
        open_model(several, runtime="ai-edge-litert")


def test_weights_of_later_operators_are_left_out(tiny_artifacts: dict[str, Path]) -> None:
    content = tiny_artifacts["tflite-float32"].read_bytes()
    sizes = list(map(len, cut_tflite(content).prefixes))
    assert sizes == sorted(sizes)
    assert sizes[1] - sizes[0] >= 4 * 36, "the convolution's 36 floats"


@pytest.mark.parametrize("format", ["onnx-float32", "onnx-int8"])
def test_the_graph_that_onnx_runtime_runs_is_cut(tiny_artifacts: dict[str, Path], tmp_path: Path, format: str) -> None:
    content = tiny_artifacts[format].read_bytes()
    write_optimized(onnxruntime, content, str(tmp_path / "optimized.onnx"))
    found = cut_onnx(content, (tmp_path / "optimized.onnx").read_bytes())
    assert sum(step.operator.macs or 0 for step in found.steps) == audit(content).macs > 0
    assert [sum(layer in name for step in found.steps for name in step.names if step.operator.macs) for layer in ("conv2d", "dense")] != [0, 0]
    whole = open_model(content, runtime="onnxruntime")
    values = some_input(whole)
    prefixes = [open_model(prefix, runtime="onnxruntime", part=True) for prefix in found.prefixes]
    assert np.array_equal(answer(prefixes[0], values), values)
    for prefix in prefixes:
        last = answer(prefix, values)
    assert np.array_equal(last, answer(whole, values)), "the same operators, not optimized again"


def test_what_unpacks_weights_comes_with_the_operator_that_needs_it() -> None:
    nodes = [Node(["packed"], ["weights"]), Node(["image"], ["a"]), Node(["packed 2"], ["weights 2"]), Node(["a", "weights 2"], ["b"])]
    steps = steps_of(nodes, ["image"])
    assert steps == [1, 3]
    assert [prefix_of(nodes, steps, length, ["image"], ["b"]) for length in range(3)] == [([], ["image"]), ([1], ["a"]), ([1, 2, 3], ["b"])]


def test_a_network_with_too_many_operators_is_refused() -> None:
    chain = [Node([index], [index + 1]) for index in range(MOST_STEPS + 1)]
    assert len(steps_of(chain[1:], [1])) == MOST_STEPS
    with pytest.raises(UnsupportedModelError, match=f"{MOST_STEPS + 1} operators"):
        steps_of(chain, [0])


def test_a_damaged_file_is_refused(tiny_artifacts: dict[str, Path]) -> None:
    content = tiny_artifacts["tflite-int8"].read_bytes()
    with pytest.raises(InputError, match="damaged"):
        cut_tflite(content[: len(content) // 3])


def test_an_onnx_network_with_networks_inside_is_refused() -> None:
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 4])
    answer = helper.make_tensor_value_info("answer", TensorProto.FLOAT, [1, 4])

    def branch(name: str, operator: str) -> onnx.GraphProto:
        return helper.make_graph([helper.make_node(operator, ["doubled"], [name])], name, [], [helper.make_tensor_value_info(name, 1, [1, 4])])

    nodes = [
        helper.make_node("Add", ["image", "image"], ["doubled"]),
        helper.make_node("ReduceMax", ["doubled"], ["most"], keepdims=0),
        helper.make_node("Cast", ["most"], ["chosen"], to=TensorProto.BOOL),
        helper.make_node("If", ["chosen"], ["answer"], then_branch=branch("then", "Relu"), else_branch=branch("else", "Neg")),
    ]
    graph = helper.make_graph(nodes, "branched", [image], [answer])
    content = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8).SerializeToString()
    with pytest.raises(UnsupportedModelError, match="networks inside"):
        cut_onnx(content, content)
