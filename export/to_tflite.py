"""Keras model -> TensorFlow Lite flatbuffer."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_runtime.errors import ModelError, first_line

INPUT = "image"  # name of the input tensor, in every format


def serving_function(model: Any, *, softmax: bool) -> tuple[Any, Any]:
    """What every converter is given: a function at batch 1, in inference mode, so that nothing is left to guess.

    Returns (tf.function, its TensorSpec) of a Keras model, float32 [1, H, W, C] in; `softmax` adds one at the end.
    """
    import tensorflow as tf

    @tf.function
    def forward(image: Any) -> Any:
        answer = model(image, training=False)
        return tf.nn.softmax(answer) if softmax else answer

    return forward, tf.TensorSpec((1, *model.inputs[0].shape[1:]), tf.float32, name=INPUT)


def convert_float32(model: Any, *, softmax: bool) -> bytes:
    """The folded model as it is. `softmax`: whether the file answers with probabilities rather than logits."""
    return _run(_converter(model, softmax))


def convert_int8(model: Any, calibration: np.ndarray, *, softmax: bool) -> bytes:
    """A QAT model with every operator, input and output in int8.

    calibration: float32 [N, H, W, C], normalized. It is given although the model is trained with its ranges: without it whatever the
    training left without a range stays float, silently (docs of TFLiteConverter.representative_dataset).
    """
    import tensorflow as tf

    converter = _converter(model, softmax)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image[np.newaxis]] for image in calibration)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    return _run(converter)


def _converter(model: Any, softmax: bool) -> Any:
    import tensorflow as tf

    function, spec = serving_function(model, softmax=softmax)
    return tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function(spec)], model)


def _run(converter: Any) -> bytes:
    from tensorflow.lite.python.convert import ConverterError

    try:
        return bytes(converter.convert())
    except (ConverterError, ValueError, RuntimeError) as error:
        raise ModelError(f"TensorFlow Lite cannot convert this model: {first_line(error)}.") from None
