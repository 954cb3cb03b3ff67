"""The facts of a TensorFlow Lite flatbuffer, read without an interpreter: neither a stranger's file nor a damaged one runs here."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from edge_runtime.errors import InputError
from export.audit import INT8_TYPES, NO_ARITHMETIC, Audit, End, Operator, answers_of, printable

_CONVERTERS = ("QUANTIZE", "DEQUANTIZE", "CAST")
# Operators that only move numbers: whether those are float says nothing about the arithmetic.
_MOVERS = frozenset(
    (
        "RESHAPE", "TRANSPOSE", "SQUEEZE", "EXPAND_DIMS", "CONCATENATION", "SPLIT", "SPLIT_V", "SLICE", "STRIDED_SLICE", "GATHER", "PACK",
        "UNPACK", "TILE", "PAD", "PADV2", "MIRROR_PAD", "SHAPE", "FILL", "BROADCAST_TO", "SPACE_TO_DEPTH", "DEPTH_TO_SPACE",
    )
)  # fmt: skip
# Operators whose multiply-accumulates hang on more than the shapes at their ends: recurrent ones, and those that run another graph.
_UNCOUNTED = frozenset(
    (
        "RNN", "UNIDIRECTIONAL_SEQUENCE_RNN", "BIDIRECTIONAL_SEQUENCE_RNN", "LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM",
        "BIDIRECTIONAL_SEQUENCE_LSTM", "SVDF", "WHILE", "IF", "CALL", "STABLEHLO_WHILE", "STABLEHLO_COMPOSITE", "STABLEHLO_CUSTOM_CALL",
        "STABLEHLO_CONVOLUTION", "STABLEHLO_DOT_GENERAL",
    )
)  # fmt: skip
_HYBRID_WEIGHTS = (*INT8_TYPES, "int4")
_MAX_TABLES = 200_000  # real networks have thousands
_MAX_RANK = 16  # no runtime takes more dimensions; a damaged shape may name millions


@dataclass
class _Tensor:
    name: str
    shape: tuple[int, ...]
    dtype: str
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    bytes: int  # of constant data; 0 for activations


@dataclass
class _File:
    """The flatbuffer's tables, read lazily, and never more than there can be: a damaged length must not become a loop."""

    model: Any
    size: int
    tables: int = 0
    spent: int = 0
    buffers: dict[int, int] = field(default_factory=dict)

    def count(self, tables: int) -> range:
        """Indices of so many tables (operators, tensors …)."""
        self.tables += tables
        if self.tables > _MAX_TABLES:
            raise ValueError(f"more than {_MAX_TABLES:,} entries")
        return range(tables)

    def spend(self, length: int) -> None:
        """So many bytes of names and numbers; twice the file, for some writers let tables share them."""
        self.spent += length
        if self.spent > 2 * self.size:
            raise ValueError("it counts more entries than it has bytes")

    def numbers(self, vector: Any) -> list[Any]:
        """A vector of numbers as the generated reader gives it: an array, or 0 where it is absent."""
        if isinstance(vector, int):
            return []
        self.spend(4 * len(vector))
        return list(vector.tolist())

    def buffer_bytes(self, index: int) -> int:
        if index not in self.buffers:
            buffer = self.model.Buffers(index)
            data = buffer.DataAsNumpy()  # a view; ValueError when it would reach beyond the file
            self.buffers[index] = int(buffer.Size()) if isinstance(data, int) else len(data)  # Size: data kept behind the flatbuffer
        return self.buffers[index]


def audit_tflite(model: bytes) -> Audit:
    """Read a flatbuffer. InputError when it is damaged."""
    from ai_edge_litert import schema_py_generated as schema

    try:
        file = _File(schema.Model.GetRootAs(model, 0), len(model))
        if not file.model.SubgraphsLength() or not file.model.OperatorCodesLength() or not file.model.Subgraphs(0).OutputsLength():
            raise ValueError("it holds no network")
        return _read(file, _Names(schema))
    except Exception as error:  # flatbuffers has no error type of its own: damaged bytes raise anything
        raise InputError(f"A damaged .tflite file ({' '.join(str(error).split())[:120]}).") from None


class _Names:
    """Numbers of the schema's enumerations to names."""

    def __init__(self, schema: Any) -> None:
        self._schema = schema

    @cached_property
    def operators(self) -> dict[int, str]:
        return {value: name for name, value in vars(self._schema.BuiltinOperator).items() if isinstance(value, int)}

    @cached_property
    def types(self) -> dict[int, str]:
        return {value: name.lower() for name, value in vars(self._schema.TensorType).items() if isinstance(value, int)}


def _read(file: _File, names: _Names) -> Audit:
    codes = [_code(file.model.OperatorCodes(index), names) for index in file.count(file.model.OperatorCodesLength())]
    graphs = [file.model.Subgraphs(index) for index in file.count(file.model.SubgraphsLength())]
    operators: list[list[Operator]] = []
    tensors: list[list[_Tensor]] = []
    rescales = 0
    for graph in graphs:
        tensors.append([_tensor(file, graph.Tensors(index), names) for index in file.count(graph.TensorsLength())])
        found, moved = _operators(file, graph, codes, tensors[-1])
        operators.append(found)
        rescales += moved
    ends = [tuple(_end(tensors[0][index]) for index in file.numbers(indices)) for indices in (graphs[0].InputsAsNumpy(), graphs[0].OutputsAsNumpy())]
    return Audit(
        "tflite",
        tuple(operator for found in operators for operator in found),
        inputs=ends[0],
        outputs=ends[1],
        answers=answers_of(operators[0]),
        builtins=tuple(sorted({(kind, version) for kind, version, custom in codes if not custom})),
        min_runtime_version=_min_runtime_version(file),
        rescales=rescales,
    )


def _code(code: Any, names: _Names) -> tuple[str, int, bool]:
    """(name, version, whether it is custom) of an operator code."""
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    kind = names.operators.get(number, f"BUILTIN_{number}")
    if kind == "CUSTOM":
        return _text(code.CustomCode()), code.Version(), True
    return kind, code.Version(), False


def _text(name: bytes | None) -> str:
    return printable((name or b"")[:1000].decode(errors="replace"))


def _tensor(file: _File, tensor: Any, names: _Names) -> _Tensor:
    shape = file.numbers(tensor.ShapeAsNumpy())
    if len(shape) > _MAX_RANK:
        raise ValueError(f"a tensor of {len(shape)} dimensions")
    quantization = tensor.Quantization()
    name = tensor.Name()
    file.spend(len(name or b""))
    return _Tensor(
        name=_text(name),
        shape=tuple(max(1, size) for size in shape),
        dtype=names.types.get(tensor.Type(), f"type {tensor.Type()}"),
        scales=tuple(file.numbers(quantization.ScaleAsNumpy())) if quantization else (),
        zero_points=tuple(file.numbers(quantization.ZeroPointAsNumpy())) if quantization else (),
        bytes=file.buffer_bytes(tensor.Buffer()),
    )


def _end(tensor: _Tensor) -> End:
    quantized = len(tensor.scales) == 1 and len(tensor.zero_points) == 1
    return End(tensor.name, tensor.shape, tensor.dtype, tensor.scales[0] if quantized else None, tensor.zero_points[0] if quantized else None)


def _operators(file: _File, graph: Any, codes: list[tuple[str, int, bool]], tensors: list[_Tensor]) -> tuple[list[Operator], int]:
    """The operators of one graph, and how many of them only rescale int8 to int8."""
    found, rescales = [], 0
    origin: dict[int, _Tensor] = {}  # of constants that are only unpacked into floats: what the file holds
    for index in file.count(graph.OperatorsLength()):
        operator = graph.Operators(index)
        kind, version, custom = codes[operator.OpcodeIndex()]
        inputs = [at for at in file.numbers(operator.InputsAsNumpy()) if at >= 0]
        outputs = [at for at in file.numbers(operator.OutputsAsNumpy()) if at >= 0]
        stored = [origin.get(at, tensors[at]) for at in inputs]
        if kind in ("DEQUANTIZE", "DENSIFY") and stored and stored[0].bytes and outputs:
            origin[outputs[0]] = stored[0]
        weights = [tensor for tensor in stored if tensor.bytes and len(tensor.shape) > 1] if kind not in (*_CONVERTERS, "DENSIFY") else []
        moving = [tensors[at] for at, tensor in zip(inputs, stored, strict=True) if not tensor.bytes] + [tensors[at] for at in outputs]
        rescales += kind == "QUANTIZE" and {tensor.dtype for tensor in moving} == {"int8"}
        heaviest = max(weights, key=lambda tensor: tensor.bytes, default=None)
        arithmetic = _arithmetic(kind, [tensor.dtype for tensor in moving])
        direct = {tensors[at].dtype for at in inputs if tensors[at].bytes and len(tensors[at].shape) > 1}
        found.append(
            Operator(
                kind,
                version,
                _layer([tensors[at] for at in outputs], heaviest),
                arithmetic,
                None if custom else _macs(kind, [tensors[at] for at in inputs], [tensors[at] for at in outputs]),
                sum(tensor.bytes for tensor in weights),
                heaviest.dtype if heaviest else None,
                _is_per_channel(heaviest),
                custom,
                hybrid=arithmetic.startswith("float") and not direct.isdisjoint(_HYBRID_WEIGHTS),
            )
        )
    return found, rescales


def _layer(outputs: list[_Tensor], weights: _Tensor | None) -> str:
    """The Keras layer's path: the first name of a fused operator, without what QAT put before the layer's own. The network's output is
    named after the function that was converted; its weights still know the layer."""
    name = outputs[0].name if outputs else ""
    if name.startswith(("StatefulPartitionedCall", "PartitionedCall", "Identity")) and weights is not None:
        name = weights.name
    return name.split(";")[0].replace("/quant_", "/").removeprefix("quant_")


def _arithmetic(kind: str, dtypes: list[str]) -> str:
    """The number type an operator computes in, from those of its activations."""
    floats = [dtype for dtype in dtypes if dtype.startswith(("float", "bfloat"))]
    if kind in _MOVERS or (kind in _CONVERTERS and floats):
        return NO_ARITHMETIC
    integers = [dtype for dtype in dtypes if dtype in ("int16", *INT8_TYPES)]
    return next(iter(floats + sorted(integers, key=lambda dtype: dtype != "int16")), NO_ARITHMETIC)


def _is_per_channel(weights: _Tensor | None) -> bool | None:
    if weights is None or not weights.scales:
        return None
    return len(weights.scales) > 1 or weights.shape[0] == 1 == weights.shape[-1]  # one channel: both at once


def _macs(kind: str, inputs: list[_Tensor], outputs: list[_Tensor]) -> int | None:
    """Multiply-accumulates of one inference, None where they cannot be told.

    Weights are [out, h, w, in], [1, h, w, out] (depthwise), [d, h, w, in, out] (3-D) or [out, in].
    """
    if kind in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "CONV_3D"):
        return _product(outputs[0].shape[:-1]) * _product(inputs[1].shape)
    if kind in ("TRANSPOSE_CONV", "CONV_3D_TRANSPOSE"):  # its first input is the shape of the output
        return _product(inputs[2].shape[:-1]) * _product(inputs[1].shape)
    if kind == "BATCH_MATMUL":
        return _product(outputs[0].shape) * inputs[0].shape[-1]
    return None if kind in _UNCOUNTED else 0


def _product(sizes: tuple[int, ...]) -> int:
    return int(np.prod(np.array(sizes, dtype=object)))


def _min_runtime_version(file: _File) -> str | None:
    """What the converter wrote down as the oldest runtime that loads the file."""
    for index in file.count(file.model.MetadataLength()):
        entry = file.model.Metadata(index)
        if entry.Name() == b"min_runtime_version":
            data = file.model.Buffers(entry.Buffer()).DataAsNumpy()
            return None if isinstance(data, int) else _text(data.tobytes().rstrip(b"\0"))
    return None
