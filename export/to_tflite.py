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
    return run_converter(_converter(model, softmax))


def convert_float16(model: Any, *, softmax: bool) -> bytes:
    """Weights stored as float16, half the size; computed in float32."""
    import tensorflow as tf

    converter = optimizing_converter(model, softmax)
    converter.target_spec.supported_types = [tf.float16]
    return run_converter(converter)


def convert_dynamic(model: Any, *, softmax: bool) -> bytes:
    """Weights of 1,024 elements and more stored as int8; activations stay float and are quantized on the fly, image by image."""
    converter = optimizing_converter(model, softmax)
    # Per channel, a Dense becomes FULLY_CONNECTED v12, which no tflite-runtime can load.
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    return run_converter(converter)


def convert_int8(model: Any, calibration: np.ndarray, *, softmax: bool) -> bytes:
    """Every operator, input and output in int8. Of a QAT model with the ranges it learnt, of any other with those of the calibration images.

    calibration: float32 [N, H, W, C], normalized. A QAT model needs it too: without it whatever the training left without a range stays
    float, silently (docs of TFLiteConverter.representative_dataset).
    """
    import tensorflow as tf

    return _calibrated(model, calibration, softmax, tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.int8)


def convert_int16x8(model: Any, calibration: np.ndarray, *, softmax: bool) -> bytes:
    """Activations int16, weights int8: nearly as exact as float, and a diagnosis of where int8 loses its answers.

    Biases and sums are int32. The converter's default of int64 leaves the runtimes only their reference kernels, 9 to 20 times slower on x86. In
    32 bits a sum over more than 516 inputs, every one at its extreme, would wrap around; no trained layer is near that, and parity would tell.
    """
    import tensorflow as tf

    operators = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    return _calibrated(model, calibration, softmax, operators, tf.int16, bias=tf.int32)


def _calibrated(model: Any, calibration: np.ndarray, softmax: bool, operators: Any, ends: Any, bias: Any = None) -> bytes:
    converter = optimizing_converter(model, softmax)
    converter.representative_dataset = lambda: ([image[np.newaxis]] for image in calibration)
    converter.target_spec.supported_ops = [operators]
    converter.inference_input_type = ends
    converter.inference_output_type = ends
    converter._experimental_full_integer_quantization_bias_type = bias
    return run_converter(converter)


def optimizing_converter(model: Any, softmax: bool) -> Any:
    """A converter that quantizes whatever it has ranges for."""
    import tensorflow as tf

    converter = _converter(model, softmax)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return converter


def _converter(model: Any, softmax: bool) -> Any:
    import tensorflow as tf

    function, spec = serving_function(model, softmax=softmax)
    return tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function(spec)], model)


def run_converter(converter: Any) -> bytes:
    """The flatbuffer; ModelError in one line when the converter refuses."""
    from tensorflow.lite.python.convert import ConverterError

    try:
        return bytes(converter.convert())
    except (ConverterError, ValueError, RuntimeError) as error:
        raise ModelError(f"TensorFlow Lite cannot convert this model: {first_line(error)}.") from None
