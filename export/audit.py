"""What a model file really is, read from the file itself: nothing is called int8 that is not."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_runtime.errors import InputError, first_line

_INT8_TYPES = ("int8", "uint8")
_NO_ARITHMETIC = "none"
# ONNX operators that only convert numbers, move them or choose among them: whether those are float says nothing about the arithmetic.
_ONNX_MOVERS = frozenset(
    (
        "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "Cast", "Constant", "ConstantOfShape", "Shape", "Identity",
        "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Concat", "Split", "Slice", "Gather", "Expand", "Tile", "Pad",
        "DepthToSpace", "SpaceToDepth", "MaxPool", "NhwcMaxPool", "GlobalMaxPool",
    )
)  # fmt: skip
_ONNX_INT8 = ("QGemm", "QAttention", "MatMulInteger", "MatMulIntegerToFloat", "ConvInteger", "DynamicQuantizeMatMul")


@dataclass(frozen=True)
class Operator:
    """One operator: what it is, where (the tensor it writes, named after its Keras layer), in which number type, at what cost."""

    kind: str
    version: int
    name: str
    dtype: str  # of its arithmetic; "none" where it does none (told apart for ONNX only)
    macs: int  # multiply-accumulates of one inference; 0 where not counted
    weight_bytes: int


@dataclass(frozen=True)
class Audit:
    """The facts of one file."""

    operators: tuple[Operator, ...]
    input_dtype: str
    output_dtype: str

    @property
    def float_islands(self) -> list[str]:
        """Operators that compute in floating point, by layer name."""
        return [f"{operator.kind} {operator.name}" for operator in self.operators if operator.dtype not in (*_INT8_TYPES, _NO_ARITHMETIC)]

    @property
    def int8_macs_share(self) -> float | None:
        """Share of multiply-accumulates done in int8, 0..1; None where they are not counted (ONNX)."""
        return _share(self.operators, "macs")

    @property
    def int8_weights_share(self) -> float | None:
        """Share of weight bytes held in int8, 0..1; None without weights."""
        return _share(self.operators, "weight_bytes")

    @property
    def is_int8(self) -> bool:
        """Everything computed in int8, and something is. (An ONNX file may still take and give floats: its ends are converted inside.)"""
        return not self.float_islands and any(operator.dtype in _INT8_TYPES for operator in self.operators)

    def to_dict(self) -> dict[str, Any]:
        counts = Counter(f"{operator.kind} v{operator.version}" for operator in self.operators)
        return {
            "operators": dict(counts),
            "macs": sum(operator.macs for operator in self.operators),
            "int8_macs_share": self.int8_macs_share,
            "int8_weights_share": self.int8_weights_share,
            "float_islands": self.float_islands,
            "input_dtype": self.input_dtype,
            "output_dtype": self.output_dtype,
        }


def _share(operators: tuple[Operator, ...], quantity: str) -> float | None:
    total = sum(getattr(operator, quantity) for operator in operators)
    int8 = sum(getattr(operator, quantity) for operator in operators if operator.dtype in _INT8_TYPES)
    return int8 / total if total else None


def audit(model: bytes) -> Audit:
    """Read a `.tflite` or `.onnx`. InputError when it is neither."""
    if model[4:8] == b"TFL3":
        return _audit_tflite(model)
    return _audit_onnx(model)


def _audit_tflite(model: bytes) -> Audit:
    from ai_edge_litert import schema_py_generated as schema

    try:
        file = schema.ModelT.InitFromPackedBuf(model, 0)
    except Exception as error:  # flatbuffers has no error type of its own: any bytes raise anything
        raise InputError(f"A damaged .tflite file ({error}).") from None
    if not file.subgraphs or not file.operatorCodes:
        raise InputError("A damaged .tflite file: it holds no network.")
    graph = file.subgraphs[0]
    names = _enum_names(schema.BuiltinOperator)
    types = {value: name.lower() for value, name in _enum_names(schema.TensorType).items()}
    operators = []
    for operator in graph.operators:
        code = file.operatorCodes[operator.opcodeIndex]
        kind = names[max(code.builtinCode, code.deprecatedBuiltinCode)]
        outputs = [graph.tensors[index] for index in operator.outputs]
        inputs = [graph.tensors[index] for index in operator.inputs if index >= 0]
        constant = [tensor for tensor in inputs if _has_data(file, tensor)]
        activations = [tensor for tensor in inputs if not _has_data(file, tensor)] + outputs
        floats = [types[tensor.type] for tensor in activations if types[tensor.type] not in _INT8_TYPES]
        operators.append(
            Operator(
                kind,
                code.version,
                outputs[0].name.decode(),
                floats[0] if floats else types[outputs[0].type],
                _tflite_macs(kind, inputs, outputs),
                sum(len(file.buffers[tensor.buffer].data) for tensor in constant if len(tensor.shape) > 1),
            )
        )
    ends = [types[graph.tensors[ends[0]].type] for ends in (graph.inputs, graph.outputs)]
    return Audit(tuple(operators), *ends)


def _enum_names(enum: type) -> dict[int, str]:
    return {value: name for name, value in vars(enum).items() if isinstance(value, int)}


def _has_data(file: Any, tensor: Any) -> bool:
    data = file.buffers[tensor.buffer].data
    return data is not None and len(data) > 0


def _tflite_macs(kind: str, inputs: list[Any], outputs: list[Any]) -> int:
    """Multiply-accumulates of one inference; weights are [out, h, w, in], [1, h, w, out] (depthwise) or [out, in]."""
    if kind not in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
        return 0
    positions = _product(outputs[0].shape[:-1])
    weights = _product(inputs[1].shape)
    return positions * weights


def _product(sizes: Any) -> int:
    product = 1
    for size in sizes:
        product *= int(size)
    return product


def _audit_onnx(model: bytes) -> Audit:
    """The operators after ONNX Runtime's own optimization: a QDQ file is int8 only if it was fused into int8 kernels."""
    import onnx
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(Path(folder) / "optimized.onnx")
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.log_severity_level = 4
        try:
            session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors share no public base class
            raise InputError(f"ONNX Runtime cannot read this file ({first_line(error)}).") from None
        graph = onnx.load(options.optimized_model_filepath).graph
    ends = [end.type.removeprefix("tensor(").rstrip(")").replace("float", "float32") for end in (session.get_inputs()[0], session.get_outputs()[0])]
    sizes = {tensor.name: len(tensor.raw_data) for tensor in graph.initializer if len(tensor.dims) > 1}
    islands = _onnx_islands([node.op_type for node in graph.node])
    operators = [
        Operator(
            node.op_type,
            1,
            node.name or node.output[0],
            "float32" if index in islands else "int8" if _is_onnx_int8(node.op_type) else _NO_ARITHMETIC,
            0,
            sum(sizes.get(name, 0) for name in node.input),
        )
        for index, node in enumerate(graph.node)
    ]
    return Audit(tuple(operators), *ends)


def _is_onnx_int8(kind: str) -> bool:
    return kind.startswith("QLinear") or kind in _ONNX_INT8


def _onnx_islands(kinds: list[str]) -> list[int]:
    """Which operators of a graph, in topological order, compute in floating point."""
    computing = [index for index, kind in enumerate(kinds) if kind not in _ONNX_MOVERS]
    if computing and kinds[computing[-1]] == "Softmax":
        computing.pop()  # the head a model keeps: it only turns the finished, dequantized logits into probabilities
    return [index for index in computing if not _is_onnx_int8(kinds[index])]
