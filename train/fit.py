"""One training run: input pipeline, schedule, early stopping with the best weights, history."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_runtime.preprocess import Preprocessing
from edge_runtime.progress import Progress, silent
from train.augment import random_affine
from train.datasets import Dataset
from train.head import ends_in_softmax
from train.recipes import Augmentation, Training
from train.splits import Split

WARM_UP_SHARE = 0.25  # of all steps, while the one-cycle rate rises


@dataclass(frozen=True)
class History:
    """What happened: one row an epoch (loss, accuracy, val_loss, val_accuracy on the selection slice, seconds; with a teacher, agreement
    with its answers instead of accuracy)."""

    epochs: tuple[dict[str, float], ...]
    best_epoch: int  # counted from 1
    seconds: float


def fit(
    model: Any,
    dataset: Dataset,
    split: Split,
    contract: Preprocessing,
    settings: Training,
    *,
    seed: int,
    teacher: Any = None,
    progress: Progress = silent,
) -> History:
    """Train `model` in place; it ends with the weights of the epoch whose loss on the selection slice was lowest.

    teacher: a model whose probabilities are to be learnt instead of the labels (distillation at temperature 1; Hinton, Vinyals and Dean,
    2015, arXiv:1503.02531). For a copy that shall answer alike, rather than become another model of the same accuracy.
    """
    import tf_keras

    tf_keras.utils.set_random_seed(seed)
    training = training_batches(dataset, split.fit, contract, settings)
    steps = training.cardinality().numpy()
    pixels, targets = contract.normalize(dataset.images[split.selection]), dataset.labels[split.selection]
    if teacher is not None:
        training = training.map(lambda pixels, labels: (pixels, _answers(teacher, pixels))).prefetch(2)
        targets = np.concatenate([_answers(teacher, part).numpy() for part in np.array_split(pixels, max(1, len(pixels) // 500))])
    _compile(model, settings, steps, taught=teacher is not None)
    reporter = _reporter(progress, settings.epochs, steps)
    stopping = tf_keras.callbacks.EarlyStopping(monitor="val_loss", patience=settings.patience, restore_best_weights=True)
    begin = time.perf_counter()
    model.fit(
        training, validation_data=(pixels, targets), epochs=settings.epochs, callbacks=[reporter, stopping], verbose=0, validation_batch_size=512
    )
    rows = tuple(reporter.rows)
    best = int(np.argmin([row["val_loss"] for row in rows])) + 1
    return History(rows, best, time.perf_counter() - begin)


def training_batches(dataset: Dataset, indices: np.ndarray, contract: Preprocessing, settings: Training) -> Any:
    """A tf.data pipeline of (float32 [B, H, W, C], int64 [B]): shuffled, normalized, augmented; all pictures stay in memory as uint8."""
    import tensorflow as tf

    batch = min(settings.batch_size, len(indices))

    def prepare(images: Any, labels: Any) -> tuple[Any, Any]:
        pixels = tf.cast(images, tf.float32)
        if settings.augmentation != Augmentation():
            pixels = random_affine(pixels, settings.augmentation)
        return pixels * contract.scale + contract.offset, labels

    source = tf.data.Dataset.from_tensor_slices((dataset.images[indices], dataset.labels[indices]))
    # drop_remainder: one shape for every step, so that nothing is traced twice; shuffling brings each image its turn
    return source.shuffle(len(indices)).batch(batch, drop_remainder=True).map(prepare, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)


def _answers(model: Any, pixels: Any) -> Any:
    """Probabilities, a tensor [B, classes]."""
    import tensorflow as tf

    outputs = model(pixels, training=False)
    return outputs if ends_in_softmax(model) else tf.nn.softmax(outputs)


def _compile(model: Any, settings: Training, steps: int, *, taught: bool = False) -> None:
    import tf_keras

    rate = _one_cycle(settings.learning_rate, steps * settings.epochs) if settings.one_cycle else settings.learning_rate
    optimizer = tf_keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay) if settings.weight_decay else tf_keras.optimizers.Adam(rate)
    of_kind = tf_keras.losses.CategoricalCrossentropy if taught else tf_keras.losses.SparseCategoricalCrossentropy
    loss = of_kind(from_logits=not ends_in_softmax(model))
    model.compile(optimizer, loss, metrics=[tf_keras.metrics.CategoricalAccuracy(name="agreement") if taught else "accuracy"])


def _one_cycle(peak: float, steps: int) -> Any:
    """From a 25th of the peak up to it over the first quarter, then down a cosine to nearly zero."""
    import tf_keras

    warm_up = max(1, round(steps * WARM_UP_SHARE))
    return tf_keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=peak / 25, warmup_target=peak, warmup_steps=warm_up, decay_steps=max(1, steps - warm_up), alpha=1e-3
    )


def _reporter(progress: Progress, epochs: int, steps: int) -> Any:
    import tf_keras

    class Reporter(tf_keras.callbacks.Callback):
        """Tells the progress of epochs, and keeps the rows of the history."""

        def __init__(self) -> None:
            super().__init__()
            self.rows: list[dict[str, float]] = []
            self.note = ""

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.began = time.perf_counter()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if batch % 10 == 0:
                progress(len(self.rows) * steps + batch, epochs * steps, self.note)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            row = {name: float(value) for name, value in (logs or {}).items()}
            self.rows.append({"epoch": epoch + 1, **row, "seconds": time.perf_counter() - self.began})
            measure = "agreement" if "val_agreement" in row else "accuracy"
            self.note = f"epoch {epoch + 1}/{epochs}, selection {measure} {row[f'val_{measure}']:.2%}"
            progress(len(self.rows) * steps, epochs * steps, self.note)

    return Reporter()
