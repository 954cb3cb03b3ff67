"""Keras model -> ONNX, float32 or int8.

The plain conversion of a QAT model is not int8: tf2onnx folds the weights' fake quantization back into floats, and ONNX Runtime then
fuses one convolution in five (microsoft/onnxruntime#14707). So the int8 file is made from the float network with the QAT-trained weights, and
quantized by ONNX Runtime with the activation ranges that training learnt.
"""

from __future__ import annotations

import copy
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from edge_runtime.errors import ModelError, first_line
from export.to_tflite import INPUT, serving_function

OPSET = 17  # the newest that tf2onnx 1.17 maps well; read by ONNX Runtime since 1.12
OUTPUT = "output"
_LEAST_RANGE = 1e-6  # a layer that is always zero still needs a scale
_MOVERS = ("Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten")  # quantized as what they move: a range given to their output is lost


def convert_float32(model: Any, *, softmax: bool) -> bytes:
    """The network at batch 1, float32 [1, H, W, C] in. `softmax`: whether the file answers with probabilities rather than logits."""
    import onnx
    import tf2onnx

    function, spec = serving_function(model, softmax=softmax)
    with _one_line("tf2onnx cannot convert this model"):
        proto, _ = tf2onnx.convert.from_function(function, input_signature=[spec], opset=OPSET)
    _rename_output(proto.graph)
    _settle_names(proto.graph)
    try:
        onnx.checker.check_model(proto, full_check=True)  # tf2onnx leaves operators it does not know in the file
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ModelError(f"ONNX has no operator for a layer of this model ({first_line(error)}).") from None
    return proto.SerializeToString(deterministic=True)


def convert_int8(model: Any, ranges: Mapping[str, tuple[float, float]], calibration: np.ndarray, *, softmax: bool) -> bytes:
    """QDQ, weights int8 per channel, activations uint8 with the learnt ranges; input and output stay float32.

    model: the float network with the QAT-trained weights. ranges: (min, max) by Keras layer name, the input's under "input".
    calibration: float32 [N, H, W, C], normalized, for tensors that training gave no range.
    """
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder:
        source, prepared, target = (Path(folder) / name for name in ("float.onnx", "prepared.onnx", "int8.onnx"))
        source.write_bytes(convert_float32(model, softmax=softmax))
        with _one_line("ONNX Runtime cannot prepare this model for quantization"):
            quant_pre_process(str(source), str(prepared))
        overrides = _overrides(onnx.load(str(prepared)).graph, ranges)
        with _one_line("ONNX Runtime cannot quantize this model"):
            quantize_static(
                str(prepared),
                str(target),
                Images(calibration),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,  # U8S8 fuses on x86 with and without VNNI, and on ARM
                weight_type=QuantType.QInt8,
                extra_options={"TensorQuantOverrides": overrides},
            )
        quantized = onnx.load(str(target))
        _answer_in_floats(quantized.graph)
        return quantized.SerializeToString(deterministic=True)


def _answer_in_floats(graph: Any) -> None:
    """Take away the QuantizeLinear and DequantizeLinear behind the dense layer that gives the answer.

    Its int32 sums become floats in the same kernel then: eight bits in between cost two more steps, and can make two answers equal.
    """
    makers = {node.output[0]: node for node in graph.node}
    chain = []
    name = graph.output[0].name
    for kind in ("DequantizeLinear", "QuantizeLinear", "Gemm"):  # of ONNX Runtime's int8 operators QGemm can give floats
        if name not in makers or makers[name].op_type != kind:
            return
        chain.append(makers[name])
        name = chain[-1].input[0]
    *pair, dense = chain
    dense.output[0] = graph.output[0].name
    for node in pair:
        graph.node.remove(node)
    used = {name for node in graph.node for name in (*node.input, *node.output)}
    for named in (graph.initializer, graph.value_info):
        for unused in [entry for entry in named if entry.name not in used]:
            named.remove(unused)


@contextmanager
def _one_line(fault: str) -> Iterator[None]:
    """An error of a converter as one ModelError."""
    try:
        yield
    except Exception as error:  # neither tf2onnx nor onnxruntime.quantization has a class of its own: they raise down to bare Exception
        raise ModelError(f"{fault}: {first_line(error)}.") from None


class Images:
    """Feeds calibration images, float32 [N, H, W, C], to ONNX Runtime's quantizer one at a time; `name`: of the network's input."""

    def __init__(self, images: np.ndarray, name: str = INPUT) -> None:
        self._images: Iterator[np.ndarray] = iter(images[:, np.newaxis])
        self._name = name

    def get_next(self) -> dict[str, np.ndarray] | None:
        image = next(self._images, None)
        return None if image is None else {self._name: image}


def _rename_output(graph: Any) -> None:
    """tf2onnx calls the answer "Identity:0"."""
    (output,) = graph.output
    for node in graph.node:
        node.output[:] = [OUTPUT if name == output.name else name for name in node.output]
    output.name = OUTPUT


def _settle_names(graph: Any) -> None:
    """Make the same model give the same bytes.

    tf2onnx numbers its names ("Squeeze__19") through the life of a process, and keeps an arbitrary one of equal constants: here both are
    named by their order of appearance.
    """
    numbers: dict[str, str] = {}
    constants: dict[str, str] = {}
    used = {name: None for node in graph.node for name in node.input}  # a dictionary keeps the order
    stored = {tensor.name: tensor for tensor in graph.initializer}
    for name in used:
        if name in stored and re.search(r"__\d+$", name):
            constants[name] = f"constant__{len(constants)}"

    def settle(name: str) -> str:
        return constants.get(name) or re.sub(r"(?<=__)\d+", lambda number: numbers.setdefault(number[0], str(len(numbers))), name)

    ordered = [stored[name] for name in used if name in stored]
    for node in graph.node:
        node.name = settle(node.name)
        node.input[:] = [settle(name) for name in node.input]
        node.output[:] = [settle(name) for name in node.output]
    for tensor in (*ordered, *graph.value_info):
        tensor.name = settle(tensor.name)
    kept = [copy.deepcopy(tensor) for tensor in ordered]  # deleting the list takes its members with it
    del graph.initializer[:]
    graph.initializer.extend(kept)
    graph.doc_string = ""  # holds the number of TensorFlow's function


def _overrides(graph: Any, ranges: Mapping[str, tuple[float, float]]) -> dict[str, list[dict[str, Any]]]:
    """Each learnt range as the scale and zero point of the tensor that its Keras layer became. ModelError when a layer is not found."""
    overrides: dict[str, list[dict[str, Any]]] = {}
    for layer, (low, high) in ranges.items():
        scale = np.float32(max(high - low, _LEAST_RANGE) / 255)
        zero_point = np.clip(np.round(-low / scale), 0, 255)
        overrides[_tensor_of(graph, layer)] = [{"scale": np.array(scale, np.float32), "zero_point": np.array(zero_point, np.uint8)}]
    return overrides


def _tensor_of(graph: Any, layer: str) -> str:
    """The output of its layer's last node that computes: tf2onnx keeps Keras names ("model/conv2d/Relu:0"), if only on the weights."""
    if layer == "input":
        return INPUT
    weights = {tensor.name for tensor in graph.initializer}
    named = [node for node in graph.node if any(layer in name.split("/") for name in (node.name, *node.output, *weights.intersection(node.input)))]
    if not named:
        raise ModelError(f"Layer {layer!r} is not in the converted ONNX graph: its learnt range would be lost.")
    made = [node for node in named if node.op_type not in _MOVERS] or named
    return str(made[-1].output[0])
