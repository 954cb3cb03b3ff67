"""ONNX exports: the learnt ranges arrive at their tensors, and every convolution and dense layer becomes int8."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
import tf_keras
from onnx import numpy_helper
from tf_keras import layers

from edge_runtime.errors import ModelError
from edge_runtime.preprocess import Preprocessing
from export import to_onnx
from export.audit import audit
from train import fold, qat

CONTRACT = Preprocessing(16, 16, 3)
IMAGES = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), np.uint8)


def residual_network() -> Any:
    """The layers of a mobile network: its own scaling, a depthwise convolution with ReLU(6), a residual sum, pooling, logits."""
    tf_keras.utils.set_random_seed(0)
    image = layers.Input((16, 16, 3))
    stem = layers.ReLU(6.0)(layers.BatchNormalization()(layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(image)))
    inner = layers.ReLU(6.0)(layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same", use_bias=False)(stem)))
    output = layers.Add()([stem, layers.Conv2D(8, 1)(inner)])
    return tf_keras.Model(image, layers.Dense(4, bias_initializer="ones")(layers.GlobalAveragePooling2D()(output)))


def strangers_network() -> Any:
    """The layers of the twin's: own scaling, batch norm behind pooling, a softmax at the end."""
    tf_keras.utils.set_random_seed(0)
    body = (layers.Rescaling(1 / 255), layers.Conv2D(8, 3, strides=2, padding="same", activation="relu"), layers.MaxPooling2D())
    rest = (layers.BatchNormalization(), layers.Conv2D(16, 3, activation="relu"), layers.BatchNormalization(), layers.Dropout(0.1))
    return tf_keras.Sequential([layers.Input((16, 16, 3)), *body, *rest, layers.Flatten(), layers.Dense(3, activation="softmax")])


def exported(model: Any, softmax: bool = False) -> tuple[onnx.ModelProto, dict[str, tuple[float, float]], bytes]:
    folded = fold.fold(model).model
    trained = qat.quantize_aware(folded, IMAGES, CONTRACT)
    ranges = qat.activation_ranges(trained)
    content = to_onnx.convert_int8(qat.float_twin(trained, folded), ranges, CONTRACT.normalize(IMAGES), softmax=softmax)
    return onnx.load_from_string(content), ranges, content


def test_every_learnt_range_is_the_scale_of_a_tensor_and_nothing_stays_float() -> None:
    proto, ranges, content = exported(residual_network())
    scales = {float(numpy_helper.to_array(tensor)) for tensor in proto.graph.initializer if tensor.name.endswith("_scale") and not tensor.dims}
    used = [layer for layer, (low, high) in ranges.items() if any(np.isclose(scale, (high - low) / 255, rtol=1e-6) for scale in scales)]
    assert {"input", "add", "global_average_pooling2d"} <= {layer.rstrip("_0123456789") for layer in used}
    assert audit(content).is_int8


def test_a_range_arrives_though_its_layers_output_is_rearranged() -> None:
    folded = fold.fold(strangers_network()).model  # ONNX puts channels last again between the last convolution and Flatten
    trained = qat.quantize_aware(folded, IMAGES, CONTRACT)
    ranges = {layer: (3 * low, 3 * high) for layer, (low, high) in qat.activation_ranges(trained).items()}  # nothing calibration would find
    content = to_onnx.convert_int8(qat.float_twin(trained, folded), ranges, CONTRACT.normalize(IMAGES), softmax=False)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load_from_string(content).graph.initializer}
    scales = [float(values) for name, values in constants.items() if name.endswith("_scale") and not values.ndim]
    missing = [layer for layer, (low, high) in ranges.items() if not np.isclose(scales, (high - low) / 255, rtol=1e-6).any()]
    assert [layer for layer in missing if layer not in ("input", folded.layers[-1].name)] == []  # the answer has no scale


def test_a_dense_layers_answer_is_not_rounded_to_eight_bits() -> None:
    import onnxruntime

    proto, _, content = exported(residual_network())
    assert [node.op_type for node in proto.graph.node if proto.graph.output[0].name in node.output] == ["Gemm"]
    onnx.checker.check_model(proto, full_check=True)
    used = {name for node in proto.graph.node for name in node.input}
    assert {tensor.name for tensor in proto.graph.initializer} <= used, "nothing is left of what was taken away"
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    answers = np.concatenate([session.run(None, {to_onnx.INPUT: image[np.newaxis]})[0] for image in CONTRACT.normalize(IMAGES)])
    assert len(np.unique(answers)) > 150, "of 160; eight bits hold fewer that differ"


def test_a_model_that_keeps_its_softmax_is_int8_as_well() -> None:
    found = audit(exported(strangers_network(), softmax=True)[2])
    assert found.float_islands == []
    assert found.is_int8


def test_its_answers_follow_the_qat_model() -> None:
    import onnxruntime

    folded = fold.fold(residual_network()).model
    trained = qat.quantize_aware(folded, IMAGES, CONTRACT)
    pixels = CONTRACT.normalize(IMAGES)
    content = to_onnx.convert_int8(qat.float_twin(trained, folded), qat.activation_ranges(trained), pixels, softmax=False)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    answers = np.concatenate([session.run(None, {to_onnx.INPUT: image[np.newaxis]})[0] for image in pixels])
    expected = trained(pixels, training=False).numpy()
    assert np.abs(answers - expected).max() <= 0.05 * np.ptp(expected)


def test_the_same_model_gives_the_same_bytes_whatever_was_converted_before() -> None:
    model = fold.fold(residual_network()).model
    first = to_onnx.convert_float32(model, softmax=False)
    to_onnx.convert_float32(fold.fold(tf_keras.Sequential([layers.Input((8, 8, 1)), layers.Flatten(), layers.Dense(2)])).model, softmax=True)
    assert to_onnx.convert_float32(model, softmax=False) == first


def test_an_operator_that_onnx_lacks_is_one_line() -> None:
    model = tf_keras.Sequential([layers.Input((8, 8, 1)), layers.Conv2D(2, 3), layers.Activation("gelu"), layers.Flatten(), layers.Dense(2)])
    with pytest.raises(ModelError) as refusal:
        to_onnx.convert_float32(model, softmax=False)
    assert "\n" not in str(refusal.value)


FAULTS = {
    "tf2onnx.convert.from_function": AssertionError(),
    "onnx.checker.check_model": onnx.shape_inference.InferenceError("[ShapeInferenceError] wrong\n\nmore"),
    "onnxruntime.quantization.shape_inference.quant_pre_process": Exception("Incomplete symbolic shape inference\nmore"),
    "onnxruntime.quantization.quantize_static": ValueError("\nUnexpected value.\nmore"),
}


@pytest.mark.parametrize("step", FAULTS)
def test_an_error_of_any_converter_is_one_line(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise FAULTS[step]

    model = tf_keras.Sequential([layers.Input((8, 8, 1)), layers.Flatten(), layers.Dense(2)])
    monkeypatch.setattr(step, fail)
    with pytest.raises(ModelError) as refusal:
        to_onnx.convert_int8(model, {"input": (0.0, 1.0)}, np.zeros((1, 8, 8, 1), np.float32), softmax=False)
    message = str(refusal.value)
    assert "\n" not in message
    assert next(line for line in (*str(FAULTS[step]).splitlines(), "AssertionError") if line).rstrip(".") in message
    assert ".." not in message
