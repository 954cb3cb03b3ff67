"""Architecture and training settings, one entry a recipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edge_runtime.errors import unknown_name
from train.architectures import Shape, compact_cnn, seed_cnn


@dataclass(frozen=True)
class Augmentation:
    """Random affine changes to each training image, uniform in ± these limits."""

    rotation_degrees: float = 0.0
    shift: float = 0.0  # share of width and height
    zoom: float = 0.0  # share
    shear: float = 0.0


@dataclass(frozen=True)
class Training:
    """One run of the optimizer. With `one_cycle` the rate rises to its peak and anneals to zero (Smith, 2018, arXiv:1803.09820)."""

    epochs: int
    batch_size: int
    learning_rate: float
    patience: int  # epochs without a better selection loss before it stops
    one_cycle: bool = False
    weight_decay: float = 0.0
    augmentation: Augmentation = Augmentation()


@dataclass(frozen=True)
class Recipe:
    """How a baseline and its QAT model are made."""

    name: str
    build: Callable[[Shape, int], Any]
    baseline: Training
    qat: Training


_SEED_AUGMENTATION = Augmentation(rotation_degrees=8, shift=0.05, zoom=0.1)
_COMPACT_AUGMENTATION = Augmentation(rotation_degrees=10, shift=0.08, zoom=0.1, shear=0.1)

# Fine-tuning starts from trained weights and observed ranges: few epochs, a small rate that anneals to zero.
QAT_EPOCHS = 3


def _fine_tuning(augmentation: Augmentation, learning_rate: float) -> Training:
    return Training(epochs=QAT_EPOCHS, batch_size=128, learning_rate=learning_rate, patience=QAT_EPOCHS, one_cycle=True, augmentation=augmentation)


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "compact",
            compact_cnn,
            Training(
                epochs=24,
                batch_size=128,
                learning_rate=1e-2,
                patience=24,
                one_cycle=True,
                weight_decay=0.01,
                augmentation=_COMPACT_AUGMENTATION,
            ),
            _fine_tuning(_COMPACT_AUGMENTATION, 3e-4),
        ),
        Recipe(
            "seed",
            seed_cnn,
            Training(epochs=100, batch_size=128, learning_rate=1e-3, patience=5, augmentation=_SEED_AUGMENTATION),
            _fine_tuning(_SEED_AUGMENTATION, 3e-4),
        ),
    )
}

# For a user's own model: nothing is known of its data, so nothing is augmented.
FINE_TUNING = _fine_tuning(Augmentation(), 1e-4)


def find_recipe(name: str) -> Recipe:
    """The recipe called `name`; InputError with the nearest name when there is none."""
    if name not in RECIPES:
        raise unknown_name("recipe", name, RECIPES)
    return RECIPES[name]
