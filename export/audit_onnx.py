"""The facts of an ONNX file after ONNX Runtime's own optimization: a QDQ file is int8 only if it was fused into int8 kernels."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_runtime.errors import InputError, first_line
from edge_runtime.interpreter import find_runtime, import_runtime
from export.audit import NO_ARITHMETIC, Audit, End, Operator, answers_of, printable
from export.onnx_messages import EXTERNAL, element_bits, element_name, message, parse_model

# Operators that only convert numbers, move them or choose among them: whether those are float says nothing about the arithmetic.
_MOVERS = frozenset(
    (
        "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "Cast", "Constant", "ConstantOfShape", "Shape", "Identity",
        "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Concat", "Split", "Slice", "Gather", "Expand", "Tile", "Pad",
        "DepthToSpace", "SpaceToDepth", "MaxPool", "NhwcMaxPool", "GlobalMaxPool",
    )
)  # fmt: skip
_INT8 = ("QGemm", "QAttention", "MatMulInteger", "MatMulIntegerToFloat", "ConvInteger", "DynamicQuantizeMatMul")
_RANGED_AT_RUN_TIME = ("MatMulInteger", "MatMulIntegerToFloat", "ConvInteger", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM")
# Where an operator's weights and their scale stand among its inputs, for those that quantized weights can reach.
_WEIGHTS = {"QLinearConv": 3, "QLinearMatMul": 3, "QGemm": 3}
_SCALES = {"QLinearConv": 4, "QLinearMatMul": 4, "QGemm": 4, "MatMulIntegerToFloat": 3, "DynamicQuantizeMatMul": 2}
_CONVOLUTIONS = ("Conv", "FusedConv", "NhwcFusedConv", "QLinearConv", "ConvInteger")
_TRANSPOSED = ("ConvTranspose", "ConvTransposeWithDynamicPads")
_PRODUCTS = ("Gemm", "FusedGemm", "MatMul", "FusedMatMul", "QGemm", "QLinearMatMul", "MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul")
_UNCOUNTED = ("LSTM", "GRU", "RNN", "DynamicQuantizeLSTM", "Attention", "QAttention", "MultiHeadAttention", "MatMulNBits", "Einsum")
_TYPES = {"float": "float32", "double": "float64"}  # ONNX Runtime's names for numpy's


@dataclass(frozen=True)
class _Constant:
    """A constant tensor: its shape, number type and bytes."""

    shape: tuple[int, ...]
    dtype: str
    bytes: int


def audit_onnx(model: bytes) -> Audit:
    """Read an ONNX file. InputError when it is none, is damaged, or keeps its weights in other files; RuntimeMissingError without ONNX Runtime."""
    import_runtime(find_runtime("onnxruntime"))  # before any byte is read: what is not installed here is no fault of the file's
    message("ModelProto")  # needs protobuf
    try:
        return _read(model, _parse(model))
    except InputError:
        raise
    except Exception as error:  # names that are no text, element types that do not exist: damaged bytes raise anything
        raise InputError(f"A damaged .onnx file ({first_line(error)}).") from None


def _read(model: bytes, original: Any) -> Audit:
    opset = next((entry.version for entry in original.opset_import if entry.domain in ("", "ai.onnx")), None)
    facts = {
        "opset": opset,
        "ir_version": original.ir_version,
        "file_operators": dict(Counter(printable(node.op_type) for node in _nodes(original.graph))),
    }
    try:
        optimized, inputs, outputs = _optimize(model)
    except _Refused as refusal:
        ends = [
            tuple(End(printable(end.name), (), element_name(end.type.tensor_type.elem_type)) for end in ends)
            for ends in (original.graph.input, original.graph.output)
        ]
        operators = _operators(original, {})
        return Audit("onnx", operators, ends[0], ends[1], _answers(original), refusal=str(refusal), **facts)
    operators = _operators(optimized, _shapes(optimized))
    return Audit("onnx", operators, inputs, outputs, _answers(optimized), **facts)


class _Refused(Exception):
    """ONNX Runtime does not take a file that is sound in itself: too new, or with operators that it does not have."""


def _parse(model: bytes) -> Any:
    try:
        parsed = parse_model(model)
    except Exception as error:  # protobuf's errors share no public base class
        raise InputError(f"Not an ONNX file, or a damaged one ({first_line(error)}).") from None
    if not parsed.graph.node or not parsed.graph.input or not parsed.graph.output:
        raise InputError("Not an ONNX file, or a damaged one: it holds no network.")
    attributes = [attribute for node in _nodes(parsed.graph) for attribute in node.attribute]
    inner = [tensor for attribute in attributes for tensor in (attribute.t, *attribute.g.initializer)]
    if any(tensor.data_location == EXTERNAL for tensor in (*parsed.graph.initializer, *inner)):
        raise InputError("Its weights are in another file: save it as one file, without external data.")
    return parsed


def _optimize(model: bytes) -> tuple[Any, tuple[End, ...], tuple[End, ...]]:
    """The network as ONNX Runtime runs it, and its ends. At the extended level: beyond it the layout depends on this machine's processor."""
    import onnxruntime

    with tempfile.TemporaryDirectory(prefix="edgeproof-") as folder:
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(Path(folder) / "optimized.onnx")
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.log_severity_level = 4
        try:
            session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"], enable_fallback=0)
        except Exception as error:  # onnxruntime's errors share no public base class
            raise _refusal(error) from None
        optimized = parse_model(Path(options.optimized_model_filepath).read_bytes())
    inputs, outputs = (tuple(_end(end) for end in ends) for ends in (session.get_inputs(), session.get_outputs()))
    return optimized, inputs, outputs


def _refusal(error: Exception) -> Exception:
    message = first_line(error).removeprefix("[ONNXRuntimeError] : ").split(" : ")[-1]
    too_new = "guarantees* support for models stamped with official released" in str(error) or "Unsupported model IR version" in str(error)
    if too_new or "is not a registered function/op" in str(error) or type(error).__name__ == "NotImplemented":
        return _Refused(message)
    return InputError(f"ONNX Runtime cannot read this file ({message}).")


def _end(argument: Any) -> End:
    dtype = argument.type.removeprefix("tensor(").rstrip(")")
    return End(
        printable(argument.name), tuple(size if isinstance(size, int) else printable(str(size)) for size in argument.shape), _TYPES.get(dtype, dtype)
    )


def _nodes(graph: Any) -> Iterator[Any]:
    """All nodes, those in the branches of If and the bodies of Loop too."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _nodes(attribute.g)


def _shapes(optimized: Any) -> dict[str, tuple[int, ...]]:
    """Shapes of all tensors at batch 1, where they are fixed, as ONNX Runtime infers them: it alone knows its own fused operators.

    It tells the shapes of a network's outputs without running it, so each tensor is made one.
    """
    import onnxruntime

    model = message("ModelProto")()
    model.CopyFrom(optimized)
    for end in model.graph.input:
        batch = next(iter(end.type.tensor_type.shape.dim), None)
        if batch is not None and not batch.dim_value:
            batch.ClearField("dim_param")
            batch.dim_value = 1
    del model.graph.output[:]
    model.graph.output.extend(message("ValueInfoProto")(name=name) for node in model.graph.node for name in node.output if name)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"], enable_fallback=0)
    except Exception:  # then the multiply-accumulates are not counted, which the audit says
        return {}
    ends = [*session.get_inputs(), *session.get_outputs()]
    return {end.name: tuple(end.shape) for end in ends if all(isinstance(size, int) for size in end.shape)}


def operators_of(optimized: Any) -> tuple[Operator, ...]:
    """The operators of a graph that is run as it is; multiply-accumulates None where there are any."""
    return _operators(optimized, {})


def _operators(model: Any, shapes: Mapping[str, tuple[int, ...]]) -> tuple[Operator, ...]:
    constants = {tensor.name: _constant(tensor) for tensor in model.graph.initializer}
    known = {**shapes, **{name: constant.shape for name, constant in constants.items()}}
    versions = {entry.domain: entry.version for entry in model.opset_import}
    nodes = list(_nodes(model.graph))
    for node in nodes:  # weights that are unpacked into floats at run time: what the file holds
        if node.op_type == "DequantizeLinear" and node.input[0] in constants:
            constants[node.output[0]] = constants[node.input[0]]
    islands = _islands([node.op_type for node in nodes])
    operators = []
    for index, node in enumerate(nodes):
        weights = _weights(node, constants)
        heaviest = max(weights, key=lambda constant: constant.bytes, default=None)
        operators.append(
            Operator(
                printable(node.op_type),
                versions.get(node.domain, 1),
                printable(node.name or next(iter(node.output), "")),
                "float32" if index in islands else "int8" if _is_int8(node.op_type) else NO_ARITHMETIC,
                _macs(node, known),
                sum(constant.bytes for constant in weights),
                heaviest.dtype if heaviest else None,
                _is_per_channel(node, constants) if heaviest and heaviest.dtype in ("int8", "uint8") else None,
                hybrid=node.op_type in _RANGED_AT_RUN_TIME,
            )
        )
    return tuple(operators)


def _constant(tensor: Any) -> _Constant:
    shape = tuple(tensor.dims)
    return _Constant(shape, element_name(tensor.data_type), _product(shape) * element_bits(tensor.data_type) // 8)


def _weights(node: Any, constants: Mapping[str, _Constant]) -> list[_Constant]:
    if node.op_type == "DequantizeLinear":
        return []
    return [constants[name] for name in node.input if name in constants and len(constants[name].shape) > 1]


def _is_per_channel(node: Any, constants: Mapping[str, _Constant]) -> bool | None:
    at = _SCALES.get(node.op_type)
    if at is None or at >= len(node.input) or node.input[at] not in constants:
        return None
    scale = constants[node.input[at]]
    return bool(scale.shape) and scale.shape[0] > 1


def _macs(node: Any, shapes: Mapping[str, tuple[int, ...]]) -> int | None:
    """Multiply-accumulates of one inference, whatever the layout; weights are [out, in / groups, ...], transposed convolutions' [in, ...]."""
    kind = node.op_type
    if kind not in (*_CONVOLUTIONS, *_TRANSPOSED, *_PRODUCTS, *_UNCOUNTED):
        return 0
    data, weights, result = (shapes.get(name) for name in (node.input[0], node.input[_WEIGHTS.get(kind, 1)], node.output[0]))
    if data is None or weights is None or result is None or kind in _UNCOUNTED:
        return None
    if kind in _PRODUCTS:
        turned = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
        return _product(result) * data[-2 if turned else -1]
    return _product(data if kind in _TRANSPOSED else result) * _product(weights[1:])


def _product(sizes: tuple[int, ...]) -> int:
    product = 1
    for size in sizes:
        product *= size
    return product


def _is_int8(kind: str) -> bool:
    return kind.startswith("QLinear") or kind in _INT8


def _islands(kinds: list[str]) -> list[int]:
    """Which operators of a graph, in topological order, compute in floating point."""
    computing = [index for index, kind in enumerate(kinds) if kind not in _MOVERS]
    if computing and kinds[computing[-1]] == "Softmax":
        computing.pop()  # the head a model keeps: it only turns the finished, dequantized logits into probabilities
    return [index for index in computing if not _is_int8(kinds[index])]


def _answers(optimized: Any) -> str:
    """From all nodes, for the head that is no island computes all the same."""
    return answers_of([Operator(node.op_type, 1, "", NO_ARITHMETIC if node.op_type in _MOVERS else "any") for node in optimized.graph.node])
