"""A copy of an ONNX model that also gives out what its operators write. ONNX Runtime keeps nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_runtime.tensors import Quantization
from export.onnx_messages import element_name, message, parse_model, scalar

_QUANTIZE, _DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
_INTEGERS = ("int8", "uint8", "int16", "uint16")


def tap_onnx(model: bytes) -> tuple[bytes, dict[str, Quantization]]:
    """(the copy, what the integers of its added outputs stand for, by name).

    Between an operator and its QuantizeLinear nothing is given out, and nothing behind a DequantizeLinear: there the runtime fuses them
    into one int8 operator.
    """
    proto = parse_model(model)
    graph = proto.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    quantized = {node.input[0] for node in graph.node if node.op_type == _QUANTIZE}
    given = {output.name for output in graph.output}
    made = {argument.name for argument in graph.input} - constants.keys()  # of the input, not of constants alone
    meanings = {}
    for node in graph.node:
        if made.isdisjoint(node.input):
            continue
        made.update(node.output)
        if node.op_type == _QUANTIZE and (meaning := _meaning(node, constants)):
            meanings[node.output[0]] = meaning
        if node.op_type != _DEQUANTIZE:
            names = [name for name in node.output if name and name not in quantized | given]
            graph.output.extend(message("ValueInfoProto")(name=name) for name in names)
    return proto.SerializeToString(), meanings


def _meaning(node: Any, constants: Mapping[str, Any]) -> Quantization | None:
    """Of a QuantizeLinear's output; None when it is per channel, or computed."""
    if len(node.input) < 3 or not all(name in constants for name in node.input[1:3]):
        return None
    dtype = element_name(constants[node.input[2]].data_type)
    if dtype not in _INTEGERS:
        return None
    scale, zero_point = (scalar(constants[name]) for name in node.input[1:3])
    return None if scale is None or zero_point is None else Quantization(float(scale), int(zero_point), dtype)
