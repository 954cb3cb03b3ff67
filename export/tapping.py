"""A copy of an ONNX model that also gives out what its operators write. ONNX Runtime keeps nothing else."""

from __future__ import annotations

from typing import Any

from edge_runtime.errors import RuntimeMissingError
from edge_runtime.tensors import Quantization

_QUANTIZE, _DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"


def tap_onnx(model: bytes) -> tuple[bytes, dict[str, Quantization]]:
    """(the copy, what the integers of its added outputs stand for, by name).

    Between an operator and its QuantizeLinear nothing is given out, and nothing behind a DequantizeLinear: there the runtime fuses them
    into one int8 operator.
    """
    try:
        import onnx
    except ModuleNotFoundError:
        raise RuntimeMissingError("Looking inside an .onnx needs onnx: pip install onnx.") from None
    proto = onnx.load_model_from_string(model)
    graph = proto.graph
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
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
            graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return proto.SerializeToString(), meanings


def _meaning(node: Any, constants: dict[str, Any]) -> Quantization | None:
    """Of a QuantizeLinear's output; None when it is per channel, or computed."""
    scale, zero_point = (constants.get(name) for name in node.input[1:3])
    if scale is None or zero_point is None or scale.size != 1:
        return None
    return Quantization(float(scale.item()), int(zero_point.item()), zero_point.dtype.name)
