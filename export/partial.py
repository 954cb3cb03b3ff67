"""A partially quantized Keras model -> TensorFlow Lite, int8 but for the layers that were left out."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from export.to_tflite import optimizing_converter, run_converter


def convert_partial(model: Any, *, softmax: bool) -> bytes:
    """A partially quantized Keras model: int8 where it has ranges, float elsewhere; the input int8, the output too if its layer is.

    Without a representative dataset: given one, the converter would find the missing ranges and quantize everything.
    """
    import tensorflow as tf

    converter = optimizing_converter(model, softmax)
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8  # documented to give way to float32 where the output is not quantized
    return _without_barriers(run_converter(converter))


def _without_barriers(content: bytes) -> bytes:
    """The file without the LEAKY_RELU of slope one (but for half a unit in the last place) that kept its float layers float: it does nothing."""
    from ai_edge_litert import schema_py_generated as schema
    from tensorflow.lite.tools import flatbuffer_utils

    file = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    codes = [file.operatorCodes[operator.opcodeIndex] for operator in file.subgraphs[0].operators]
    graph, kept, source = file.subgraphs[0], [], {}
    for operator, code in zip(graph.operators, codes, strict=True):
        if code.builtinCode == schema.BuiltinOperator.LEAKY_RELU and 1 - operator.builtinOptions.alpha < 1e-7:
            source[operator.outputs[0]] = operator.inputs[0]
        else:
            kept.append((operator, code))
            operator.inputs = np.array([source.get(index, index) for index in operator.inputs], np.int32)
    graph.operators = [operator for operator, _ in kept]
    file.operatorCodes = [code for code in file.operatorCodes if any(code is used for _, used in kept)]
    for operator, code in kept:
        operator.opcodeIndex = next(index for index, used in enumerate(file.operatorCodes) if used is code)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(file))


def float_layers(content: bytes, layers: Collection[str]) -> set[str]:
    """Which of these Keras layers compute in floating point, as the file itself says: those whose weights are float32."""
    from ai_edge_litert import schema_py_generated as schema

    file = schema.ModelT.InitFromPackedBuf(content, 0)
    names = [
        f"/{tensor.name.decode()}"
        for tensor in file.subgraphs[0].tensors
        if tensor.type == schema.TensorType.FLOAT32 and len(tensor.shape) > 1 and file.buffers[tensor.buffer].data is not None
    ]
    return {layer for layer in layers if any(f"/quant_{layer}/" in name for name in names)}
