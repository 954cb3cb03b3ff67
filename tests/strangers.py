"""Exports as strangers make them, each in the way that the manuals show and with a name that promises int8: `python -m tests.strangers FOLDER`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

SHAPE = (8, 8, 1)


def main(folder: Path) -> None:
    import tensorflow as tf

    for name, content in {**_trained_without_representative_dataset(), **_quantized_afterwards(tf)}.items():
        (folder / f"{name}.tflite").write_bytes(content)


def _trained_without_representative_dataset() -> dict[str, bytes]:
    """Three networks that tfmot takes without complaint and that do not become int8 throughout."""
    import tensorflow_model_optimization as tfmot
    import tf_keras

    tf_keras.utils.set_random_seed(0)
    layers = tf_keras.layers
    first, head = layers.Conv2D(4, 3, activation="relu", name="first"), [layers.Flatten(), layers.Dense(3, name="logits")]
    networks = {
        "dense-bn-int8": [first, layers.Flatten(), layers.Dense(8, name="wide"), layers.BatchNormalization(), layers.ReLU(), head[1]],
        "transpose-bn-int8": [first, layers.Conv2DTranspose(4, 3, name="up"), layers.BatchNormalization(), layers.ReLU(), *head],
        "swish-int8": [layers.Conv2D(4, 3, activation="swish", name="swished"), *head],
    }
    images = np.random.default_rng(0).random((32, *SHAPE), np.float32)
    found = {}
    for name, parts in networks.items():
        plain = tf_keras.Sequential([layers.Input(SHAPE), *(part.__class__.from_config(part.get_config()) for part in parts)], name="net")
        model = tfmot.quantization.keras.quantize_model(plain)
        model.compile("sgd", "mse")
        model.fit(images, np.zeros((32, 3)), epochs=1, verbose=0)
        found[name] = _convert(lambda image, model=model: model(image, training=False), model, ends="int8")
    return found


def _quantized_afterwards(tf: Any) -> dict[str, bytes]:
    """One network through the post-training ways of the converter."""
    import tf_keras

    tf_keras.utils.set_random_seed(0)
    layers = tf_keras.layers
    parts = [layers.Conv2D(16, 3, activation="relu", name="first"), layers.Flatten(), layers.Dense(16, name="wide"), layers.Dense(3, name="logits")]
    model = tf_keras.Sequential([layers.Input(SHAPE), *parts], name="net")

    def forward(image: Any) -> Any:
        return model(image, training=False)

    int8 = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    int16 = [tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8]
    return {
        "dynamic-range-renamed": _convert(forward, model),
        "float-ends-int8": _convert(forward, model, operators=int8),
        "sin-int8": _convert(lambda image: tf.sin(forward(image)) + 1.0, model, operators=int8, ends="int8"),
        "int16x8": _convert(forward, model, operators=int16, ends="int16"),
        "probabilities-int8": _convert(lambda image: tf.nn.softmax(forward(image)), model, operators=int8, ends="int8"),
        "probabilities-uint8": _convert(lambda image: tf.nn.softmax(forward(image)), model, operators=int8, ends="uint8"),
        "half": _convert(forward, model, types=[tf.float16]),
    }


def _convert(forward: Callable[[Any], Any], model: Any, *, operators: Any = (), types: Any = (), ends: str = "float32") -> bytes:
    """With a representative dataset where operator sets are named."""
    import tensorflow as tf

    def samples() -> Iterator[list[np.ndarray]]:
        return ([image[np.newaxis]] for image in np.random.default_rng(1).random((20, *SHAPE), np.float32))

    function = tf.function(forward).get_concrete_function(tf.TensorSpec((1, *SHAPE), tf.float32, name="image"))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if operators:
        converter.representative_dataset = samples
        converter.target_spec.supported_ops = operators
    converter.target_spec.supported_types = list(types)
    converter.inference_input_type = converter.inference_output_type = tf.as_dtype(ends)
    return bytes(converter.convert())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
