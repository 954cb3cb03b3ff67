"""The twin of the digits that shares nothing with them: 32×32 colour pictures in folders, three classes, a stranger's Keras model.

`python -m tests.twin FOLDER` writes FOLDER/pictures/{nought,one,two}/*.png and FOLDER/stranger.{h5,keras}; it imports TensorFlow.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

from train.datasets import load_dataset

CLASSES = ("nought", "one", "two")
PER_CLASS = 420
INKS = ((255, 210, 60), (90, 200, 255), (240, 240, 240))


def write_pictures(folder: Path) -> None:
    """Digits 0, 1 and 2 as coloured strokes on dark paper, one sub-folder a class."""
    from PIL import Image

    digits = load_dataset("digits")
    rng = np.random.default_rng(0)
    for label, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for index in np.flatnonzero(digits.labels == label)[:PER_CLASS]:
            ink = np.array(INKS[rng.integers(len(INKS))])
            pixels = (digits.images[index] / 255 * ink).astype(np.uint8)
            Image.fromarray(pixels).resize((32, 32)).save(folder / name / f"{index}.png")


def write_model(folder: Path) -> None:
    """A small network in the style that quantizers refuse: own rescaling, BatchNorm after pooling, dropout, softmax."""
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    import tf_keras

    data = load_dataset(str(folder / "pictures"))
    tf_keras.utils.set_random_seed(0)
    layers = tf_keras.layers
    model = tf_keras.Sequential(
        [
            layers.Input((32, 32, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(8, 3, strides=2, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.BatchNormalization(momentum=0.8),
            layers.Conv2D(16, 3, activation="relu"),
            layers.BatchNormalization(momentum=0.8),
            layers.Dropout(0.1),
            layers.Flatten(),
            layers.Dense(len(CLASSES), activation="softmax"),
        ]
    )
    model.compile(tf_keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    model.fit(data.images.astype("float32"), data.labels, epochs=4, batch_size=32, verbose=0)
    model.save(folder / "stranger.h5")
    model.save(folder / "stranger.keras")


if __name__ == "__main__":
    write_pictures(Path(sys.argv[1]) / "pictures")
    write_model(Path(sys.argv[1]))
