"""The networks. Each is a function of input shape (H, W, C) and number of classes: none knows 28×28 or ten."""

from __future__ import annotations

from typing import Any

Shape = tuple[int, int, int]


def seed_cnn(shape: Shape, classes: int) -> Any:
    """The seed project's digit recognizer, unchanged: 138,410 parameters at 28×28×1 and 10 classes.

    Its BatchNorms stand behind pooling, where the 8-bit quantizer refuses them: see `train.fold`.
    """
    import tf_keras

    layers = tf_keras.layers
    return tf_keras.Sequential(
        [
            layers.Input(shape),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.BatchNormalization(),
            layers.Dropout(0.2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.BatchNormalization(),
            layers.Dropout(0.2),
            layers.Conv2D(128, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dense(256, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(classes, activation="softmax"),
        ],
        name="seed",
    )


def compact_cnn(shape: Shape, classes: int) -> Any:
    """Ours, for small boards: four convolutions, global average pooling, logits; 20,730 parameters for ten classes of 28×28×1.

    Made for int8 kernels and for training on two cores: the resolution is halved by the first convolution, channel counts are multiples of
    8 (a tile's width), no large dense layer, no softmax in the graph (an int8 softmax ties small probabilities and leaves XNNPACK).
    """
    import tf_keras

    layers = tf_keras.layers
    image = output = layers.Input(shape)
    for filters, kernel, stride, pool in ((16, 5, 2, False), (24, 3, 1, True), (32, 3, 1, False), (32, 3, 1, False)):
        output = layers.Conv2D(filters, kernel, strides=stride, padding="same", use_bias=False)(output)
        output = layers.BatchNormalization(momentum=0.95)(output)  # a short training must not keep averages of its first steps
        output = layers.ReLU()(output)
        if pool:
            output = layers.MaxPooling2D()(output)
    output = layers.GlobalAveragePooling2D()(output)
    return tf_keras.Model(image, layers.Dense(classes)(output), name="compact")
