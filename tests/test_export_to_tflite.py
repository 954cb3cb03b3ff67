"""What the converter is told, read back from its files."""

from __future__ import annotations

import numpy as np
import tf_keras
from ai_edge_litert.interpreter import Interpreter
from tf_keras import layers

from export.to_tflite import convert_int16x8


def test_int16x8_has_int32_biases_for_which_the_runtimes_have_fast_kernels() -> None:
    biased = {"bias_initializer": "ones"}  # the converter drops a bias of zeros
    body = (layers.Conv2D(4, 3, **biased), layers.DepthwiseConv2D(3, **biased), layers.Flatten(), layers.Dense(3, **biased))
    model = tf_keras.Sequential([layers.Input((8, 8, 1)), *body])
    images = np.random.default_rng(0).random((20, 8, 8, 1), np.float32)
    interpreter = Interpreter(model_content=convert_int16x8(model, images, softmax=False))
    kinds = [(np.dtype(tensor["dtype"]).name, len(tensor["shape"])) for tensor in interpreter.get_tensor_details()]
    assert kinds.count(("int32", 1)) >= 3, "one bias a layer"
    assert not [name for name, _ in kinds if name == "int64"]
    assert interpreter.get_input_details()[0]["dtype"] == np.int16
