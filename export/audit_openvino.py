"""The facts of an OpenVINO file as its CPU plug-in compiles it: like an ONNX file, it is int8 only where int8 kernels run it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edge_runtime.errors import InputError, first_line
from edge_runtime.interpreter import find_runtime, import_runtime
from edge_runtime.openvino_model import compile_model
from export.audit import NO_ARITHMETIC, Audit, End, Operator, answers_of

# Layers of the compiled network that only convert numbers, move them, hold them or choose among them.
_MOVERS = frozenset(("Input", "Output", "Const", "Constant", "Reorder", "Reshape", "Transpose", "Convert", "FakeQuantize", "Concatenation", "Split"))
_POOLING = "Pooling"  # of both kinds: of its names only the maximum's says so
_CONVOLUTIONS = ("Convolution", "Deconvolution")
_PRODUCTS = ("FullyConnected", "MatMul")
_FUSED = "Subgraph"  # several layers compiled into one kernel: their names tell which
_INT8 = "_i8"  # how the name of an int8 kernel ends: brgconv_avx512_core_vnni_I8, jit_avx512_i8
_QUANTIZING = "/fq_output_0"  # NNCF's name for a conversion to int8


def audit_openvino(model: bytes) -> Audit:
    """Read a `.openvino` file. InputError when it is damaged; RuntimeMissingError without OpenVINO."""
    module = import_runtime(find_runtime("openvino"))
    try:
        compiled = compile_model(module, model, threads=1)
    except Exception as error:  # damaged XML, lengths and zips raise anything
        raise InputError(f"OpenVINO cannot read this file ({first_line(error)}).") from None
    layers = [_layer(node) for node in compiled.get_runtime_model().get_ordered_ops()]
    inputs, outputs = ([_end(end) for end in ends] for ends in (compiled.inputs, compiled.outputs))
    return Audit("openvino", tuple(layers), tuple(inputs), tuple(outputs), answers_of(layers))


def _layer(node: Any) -> Operator:
    facts = {name: str(value.value) for name, value in node.get_rt_info().items()}
    kind, kernel = facts.get("layerType", ""), facts.get("primitiveType", "").lower()
    parts = [name for name in facts.get("originalLayersNames", "").split(",") if name]
    dtype = NO_ARITHMETIC if _moves(node, kind, parts) else "int8" if kernel.endswith(_INT8) else "float32"
    head = "Softmax" if parts and "softmax" in parts[-1].lower() else kind
    return Operator(head, 1, node.get_friendly_name(), dtype, _macs(node, kind))


def _moves(node: Any, kind: str, parts: list[str]) -> bool:
    if kind == _FUSED:
        return all(part.endswith(_QUANTIZING) for part in parts)
    return kind in _MOVERS or (kind == _POOLING and "max" in node.get_friendly_name().lower())


def _macs(node: Any, kind: str) -> int:
    """Multiply-accumulates of one inference. Weights, the second input, are [out, in, height, width] or [out, in]; [groups, …] in front."""
    shapes = [list(end.get_shape()) for end in node.inputs()]
    if kind == _FUSED:  # of matrix products, at batch 1: each of their matrices once
        return sum(math.prod(shape) for shape in shapes if len(shape) == 2 and shape[0] > 1)
    if kind not in (*_CONVOLUTIONS, *_PRODUCTS):
        return 0
    weights, result = shapes[1], list(node.output(0).get_shape())
    if kind in _PRODUCTS:
        return math.prod(result) * weights[-1]
    return math.prod(result) * math.prod(weights[2 if len(weights) > len(result) else 1 :])


def _end(end: Any) -> End:
    return End(end.get_any_name(), tuple(end.shape), np.dtype(end.get_element_type().to_dtype()).name)
