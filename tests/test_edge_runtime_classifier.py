"""The fast path, its batches and its probabilities answer as the plain way does."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.answers import probability_reader, to_probabilities, undeclared_reader
from edge_runtime.classifier import Classifier
from edge_runtime.errors import InputError
from edge_runtime.runtimes import RUNTIMES
from edge_runtime.tensors import Quantization, softmax

PAIRS = [("tflite-int8", name) for name in RUNTIMES if RUNTIMES[name].suffix == ".tflite"]
PAIRS += [("tflite-float32", name) for name in RUNTIMES if RUNTIMES[name].suffix == ".tflite"]
# One runtime a process. Prints whether labels and outputs of batches are those of single images, to the byte, and whether they were batches.
COMPARE = """
import sys
import numpy as np
from edge_runtime.classifier import Classifier

model, runtime, images = sys.argv[1], sys.argv[2], np.load(sys.argv[3])
classifier = Classifier.load(model, runtime)
alone = np.concatenate([classifier.predict(images[index : index + 1]).outputs for index in range(len(images))])
for batch in (7, 32, 1, 1000):
    got = classifier.predict(images, batch)
    assert got.outputs.tobytes() == alone.tobytes(), batch
    assert got.labels.tobytes() == alone.argmax(axis=1).tobytes()
    assert classifier.predict(images[:1]).outputs.tobytes() == alone[:1].tobytes(), "and one at a time again afterwards"
print(classifier._batches)
"""
BAKED = """
import sys
import tensorflow as tf

@tf.function(input_signature=[tf.TensorSpec((1, 4, 4, 1), tf.float32)])
def network(image):
    return tf.reshape(image, (1, 2, 8))[:, 0]

open(sys.argv[1], "wb").write(tf.lite.TFLiteConverter.from_concrete_functions([network.get_concrete_function()], network).convert())
"""


def onnx_model(make_nodes: str, batch: int | str) -> bytes:
    """2×2×1 pictures into four numbers, with a batch that may be open. "whole", "baked" or "mixed": what stands between."""
    from onnx import TensorProto, helper, numpy_helper

    nodes = {
        "whole": [helper.make_node("Flatten", ["x"], ["y"])],
        "baked": [helper.make_node("Reshape", ["x", "one"], ["y"])],
        "mixed": [
            helper.make_node("Flatten", ["x"], ["flat"]),
            helper.make_node("ReduceMax", ["flat"], ["top"], axes=[0], keepdims=1),
            helper.make_node("Sub", ["flat", "top"], ["y"]),
        ],
    }[make_nodes]
    ends = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, (batch, 2, 2, 1)),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, (batch, 4)),
    ]
    constants = [numpy_helper.from_array(np.array([1, 4]), "one")] if make_nodes == "baked" else []
    graph = helper.make_graph(nodes, "graph", ends[:1], ends[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


@pytest.mark.parametrize(("format", "runtime"), PAIRS)
def test_batches_by_resizing_answer_as_single_images_do(
    tiny_artifacts: dict[str, Path], tiny_images: np.ndarray, tmp_path: Path, format: str, runtime: str
) -> None:
    np.save(tmp_path / "images.npy", tiny_images)
    command = [sys.executable, "-P", "-c", COMPARE, str(tiny_artifacts[format]), runtime, str(tmp_path / "images.npy")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.strip() == "True", done.stderr


@pytest.mark.parametrize(("batch", "middle", "resized"), [("N", "whole", True), (1, "whole", False), ("N", "baked", False), ("N", "mixed", False)])
def test_onnx_takes_batches_where_all_of_it_does_and_loops_elsewhere(
    batch: int | str, middle: str, resized: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    classifier = Classifier.load(onnx_model(middle, batch))
    images = np.random.default_rng(0).integers(0, 256, (10, 2, 2), np.uint8)
    alone = np.concatenate([classifier.predict(image[np.newaxis]).outputs for image in images])
    for _ in range(2):
        np.testing.assert_array_equal(classifier.predict(images, 4).outputs, alone)
    assert classifier._batches is resized
    assert capfd.readouterr().err == "", "a refused trial is no news for the user"


def test_a_tflite_with_a_baked_batch_is_looped(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", BAKED, str(tmp_path / "baked.tflite")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    np.save(tmp_path / "images.npy", np.random.default_rng(0).integers(0, 256, (40, 4, 4), np.uint8))
    for runtime in ("ai-edge-litert", "tflite-runtime"):
        command = [sys.executable, "-P", "-c", COMPARE, str(tmp_path / "baked.tflite"), runtime, str(tmp_path / "images.npy")]
        got = subprocess.run(command, capture_output=True, text=True)
        assert got.stdout.strip() == "False", got.stderr


@pytest.mark.parametrize("format", ["tflite-int8", "tflite-float32", "onnx-int8"])
def test_one_image_in_whatever_form_is_answered_alike(tiny_artifacts: dict[str, Path], tiny_images: np.ndarray, format: str) -> None:
    classifier = Classifier.load(tiny_artifacts[format])
    expected = classifier.predict(tiny_images[3:4])
    assert expected.labels.dtype == np.int64
    forms = (tiny_images[3:4, ..., 0], tiny_images[3:4].tolist(), np.asfortranarray(tiny_images)[3:4], tiny_images[2:5][1::3])
    for images in (np.array(form, np.uint8) if isinstance(form, list) else form for form in forms):
        assert classifier.predict(images).outputs.tobytes() == expected.outputs.tobytes()
    kept = expected.outputs.copy()
    classifier.predict(tiny_images[7:8])
    np.testing.assert_array_equal(expected.outputs, kept, "an answer is the caller's own")


def test_what_is_no_picture_of_the_models_size_is_refused_on_the_fast_path_too(tiny_artifacts: dict[str, Path], tiny_images: np.ndarray) -> None:
    classifier = Classifier.load(tiny_artifacts["onnx-int8"])
    for images in (tiny_images[:1].astype(np.float32), tiny_images[:1, :7], [[1, 2], [3, 4]]):
        with pytest.raises(InputError):
            classifier.predict(images)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="at least 1 image"):
        classifier.predict(tiny_images, 0)
    assert classifier.predict(tiny_images[:0]).labels.shape == (0,)


@given(
    st.floats(1e-4, 5.0), st.integers(-128, 127), st.sampled_from(["int8", "uint8"]), st.sampled_from(["logits", "probabilities"]), st.integers(0, 99)
)
def test_the_table_of_probabilities_is_the_softmax(scale: float, zero_point: int, dtype: str, kind: str, seed: int) -> None:
    shift = 128 if dtype == "uint8" else 0
    quantization = Quantization(scale, zero_point + shift, dtype)
    outputs = np.random.default_rng(seed).integers(-128 + shift, 128 + shift, (5, 10)).astype(dtype)
    got = probability_reader(quantization, kind)(outputs)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, to_probabilities(outputs, quantization, kind), rtol=2e-5, atol=1e-7)


@pytest.mark.parametrize(
    "quantization", [None, Quantization(1 / 256, -128, "int8"), Quantization(1 / 256, 0, "uint8"), Quantization(2**-15, 0, "int16")]
)
def test_a_file_that_does_not_say_what_it_answers_gets_no_second_softmax(quantization: Quantization | None) -> None:
    logits = np.random.default_rng(0).normal(0, 4, (50, 10)).astype(np.float32)
    shares = softmax(logits)
    answers = quantization.quantize(shares) if quantization else shares
    np.testing.assert_allclose(undeclared_reader(quantization)(answers), shares, atol=0.003)


@pytest.mark.parametrize("quantization", [None, Quantization(0.1, -5, "int8")])
def test_logits_of_a_file_that_does_not_say_so_become_probabilities(quantization: Quantization | None) -> None:
    logits = np.random.default_rng(0).normal(0, 4, (50, 10)).astype(np.float32)
    logits[0], logits[1] = np.eye(10)[3], np.abs(logits[1])
    answers = quantization.quantize(logits) if quantization else logits[1:]
    real = quantization.dequantize(answers) if quantization else answers
    np.testing.assert_allclose(undeclared_reader(quantization)(answers), softmax(real), atol=1e-6)


def test_probabilities_of_an_answer_far_below_the_largest_possible_one() -> None:
    quantization = Quantization(2.5, 0, "int8")
    got = probability_reader(quantization, "logits")(np.array([[-128, -128, -127]], np.int8))
    np.testing.assert_allclose(got, to_probabilities(np.array([[-128, -128, -127]], np.int8), quantization, "logits"), rtol=1e-5)


def test_one_image_costs_little_more_than_the_interpreter(tiny_artifacts: dict[str, Path], tiny_images: np.ndarray) -> None:
    """Generously: the figures are measured by `python -m evidence fast-path`."""
    classifier, image = Classifier.load(tiny_artifacts["tflite-int8"]), tiny_images[:1].copy()
    model, given_input = classifier.model, classifier.encode(image).copy()

    def best(call: object) -> float:
        times = []
        for _ in range(300):
            begin = time.perf_counter()
            call()  # type: ignore[operator]
            times.append(time.perf_counter() - begin)
        return float(np.median(times))

    def bare() -> np.ndarray:
        model.set_input(given_input)
        model.invoke()
        return model.get_output()

    extra = min(best(lambda: classifier.predict(image).labels) - best(bare) for _ in range(7))
    assert extra < 20e-6
