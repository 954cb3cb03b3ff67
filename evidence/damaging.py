"""Spoils exports on purpose, the ways converters and their users do: a layer's scale, a zero point, the pixels' scaling."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from edge_runtime.metadata import ModelMetadata
from edge_runtime.preprocess import SCALINGS
from edgeproof.workspace import Workspace
from export.embed import embed_onnx, embed_tflite, embedded
from export.flatbuffer import packed, unpacked

WEIGHTED = ("conv", "dense", "depthwise")  # how Keras calls layers that have weights
_TFLITE_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_TFLITE_MOVERS = ("MAX_POOL_2D", "RESHAPE")  # runtimes want the zero point unchanged by them
_ONNX_WEIGHTED = ("Conv", "Gemm", "MatMul")
_ROOM = 15  # steps above a wrong zero point, of 255


def weighted_layers(workspace: Workspace, stage: str) -> list[str]:
    """Keras names of the layers with weights, in order."""
    names = [name.removeprefix(f"{stage}/") for name in workspace.read_arrays("layers.npz") if name.startswith(f"{stage}/")]
    return [name for name in names if name.startswith(WEIGHTED)]


def scale_weights(model: bytes, layer: int, factor: int = 4) -> bytes:
    """The weights of the `layer`-th operator that has any, times `factor`; its bias stays what it was."""
    if model[4:8] == b"TFL3":
        return _edit_tflite(model, lambda file: _scale_tflite(file, layer, factor))
    return _edit_onnx(model, lambda graph: _scale_onnx(graph, layer, factor))


def wrong_zero_point(model: bytes, layer: int | None) -> bytes:
    """Zero near the upper end of the integers, for what the `layer`-th operator with weights writes; None for the input of a `.tflite`.

    A zero point belongs to its tensor, writer and readers take the same one: the harm is in the numbers for which no room is left.
    """
    if model[4:8] == b"TFL3":
        return _edit_tflite(model, lambda file: _shift_tflite(file, layer))
    return _edit_onnx(model, lambda graph: _shift_onnx(graph, layer))


def not_normalized(model: bytes) -> bytes:
    """The same network, but its pixels go in as 0..255."""
    metadata = _metadata(model)
    scale, offset = SCALINGS["raw"]
    raw = replace(metadata, preprocessing=replace(metadata.preprocessing, scale=scale, offset=offset))
    return _edit_tflite(model, lambda file: None, raw) if model[4:8] == b"TFL3" else embed_onnx(model, raw)


def replace_artifact(workspace: Workspace, name: str, content: bytes) -> None:
    """Put a file in an artifact's place as if it had been exported, the only one of its workspace."""
    path = workspace.write_bytes(f"artifacts/{name}", content)
    manifest = workspace.read_json("artifacts/manifest.json")
    facts = {**manifest["artifacts"][name], "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "bytes": len(content)}
    workspace.write_json("artifacts/manifest.json", {**manifest, "artifacts": {name: facts}})


def _edit_tflite(model: bytes, change: Callable[[Any], None], metadata: ModelMetadata | None = None) -> bytes:
    file = unpacked(model)
    change(file)
    metadata = metadata or embedded(model)
    return embed_tflite(packed(file), metadata) if metadata else packed(file)


def _tflite_operators(file: Any, kinds: Sequence[str]) -> list[Any]:
    from ai_edge_litert import schema_py_generated as schema

    codes = {getattr(schema.BuiltinOperator, name) for name in kinds}
    return [operator for operator in file.subgraphs[0].operators if file.operatorCodes[operator.opcodeIndex].builtinCode in codes]


def _scale_tflite(file: Any, layer: int, factor: int) -> None:
    weights, bias = (_stored(file, index) for index in _tflite_operators(file, _TFLITE_WEIGHTED)[layer].inputs[1:3])
    if weights.quantization.scale is None:
        _change_buffer(file, weights, lambda values: factor * values)
    else:
        weights.quantization.scale = [factor * scale for scale in weights.quantization.scale]
    if bias.quantization.scale is not None:  # by the kernels' rule, input scale times weight scale: it keeps its value in fewer steps
        bias.quantization.scale = [factor * scale for scale in bias.quantization.scale]
        _change_buffer(file, bias, lambda steps: np.round(steps / factor))


def _stored(file: Any, index: int) -> Any:
    """The tensor that is in the file: float16 weights and biases reach their operator through a DEQUANTIZE."""
    (stored,) = [one.inputs[0] for one in _tflite_operators(file, ("DEQUANTIZE",)) if one.outputs[0] == index] or [index]
    return file.subgraphs[0].tensors[stored]


def _change_buffer(file: Any, tensor: Any, change: Callable[[np.ndarray], np.ndarray]) -> None:
    from ai_edge_litert import schema_py_generated as schema

    kinds = {getattr(schema.TensorType, kind.upper()): kind for kind in ("float32", "float16", "int32", "int64")}
    values = np.frombuffer(bytes(bytearray(file.buffers[tensor.buffer].data)), kinds[tensor.type])
    file.buffers[tensor.buffer].data = np.frombuffer(change(values).astype(values.dtype).tobytes(), np.uint8)


def _shift_tflite(file: Any, layer: int | None) -> None:
    graph = file.subgraphs[0]
    shifted = [graph.inputs[0] if layer is None else _tflite_operators(file, _TFLITE_WEIGHTED)[layer].outputs[0]]
    for operator in _tflite_operators(file, _TFLITE_MOVERS):
        if operator.inputs[0] in shifted:
            shifted.append(operator.outputs[0])
    for index in shifted:
        graph.tensors[index].quantization.zeroPoint = [np.iinfo(np.int8).max - _ROOM]


def _edit_onnx(model: bytes, change: Callable[[Any], None]) -> bytes:
    import onnx

    proto = onnx.load_model_from_string(model)
    change(proto.graph)
    return proto.SerializeToString(deterministic=True)


def _onnx_writers(graph: Any) -> tuple[list[Any], dict[str, Any]]:
    """(operators with weights, which node writes each tensor)."""
    return [node for node in graph.node if node.op_type in _ONNX_WEIGHTED], {name: node for node in graph.node for name in node.output}


def _change_constant(graph: Any, name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    import onnx

    (tensor,) = (tensor for tensor in graph.initializer if tensor.name == name)
    old = onnx.numpy_helper.to_array(tensor)
    tensor.CopyFrom(onnx.numpy_helper.from_array(np.asarray(change(old)).astype(old.dtype), name))


def _scale_onnx(graph: Any, layer: int, factor: int) -> None:
    operators, writers = _onnx_writers(graph)
    weights, bias = operators[layer].input[1:3]
    if weights not in writers:
        return _change_constant(graph, weights, lambda values: factor * values)
    _change_constant(graph, writers[weights].input[1], lambda scale: factor * scale)  # their DequantizeLinear
    _change_constant(graph, writers[bias].input[1], lambda scale: factor * scale)
    _change_constant(graph, writers[bias].input[0], lambda steps: np.round(steps / factor))


def _shift_onnx(graph: Any, layer: int | None) -> None:
    operators, _ = _onnx_writers(graph)
    written = operators[layer].output[0] if layer is not None else graph.input[0].name
    (quantizer,) = (node for node in graph.node if node.op_type == "QuantizeLinear" and node.input[0] == written)
    _change_constant(graph, quantizer.input[2], lambda zero_point: np.full_like(zero_point, np.iinfo(zero_point.dtype).max - _ROOM))


def _metadata(model: bytes) -> ModelMetadata:
    metadata = embedded(model)
    if metadata is None:
        raise ValueError("an export without edgeproof's metadata")
    return metadata
