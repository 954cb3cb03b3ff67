"""The recipes build the networks they promise, for any picture size and number of classes, and augmentation stays within its limits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edge_runtime.errors import InputError
from train.augment import random_affine
from train.datasets import load_dataset
from train.fit import _compile, _one_cycle
from train.recipes import FINE_TUNING, RECIPES, Augmentation, find_recipe

SEED_LAYERS = (
    "Conv2D", "Conv2D", "MaxPooling2D", "BatchNormalization", "Dropout",
    "Conv2D", "MaxPooling2D", "BatchNormalization", "Dropout",
    "Conv2D", "MaxPooling2D", "BatchNormalization",
    "Flatten", "Dense", "Dropout", "Dense",
)  # fmt: skip
ALL_LIMITS = Augmentation(rotation_degrees=10, shift=0.08, zoom=0.1, shear=0.1)


def layers(model: Any, kind: str) -> list[Any]:
    return [layer for layer in model.layers if type(layer).__name__ == kind]


def augmented(images: np.ndarray, **limits: float) -> np.ndarray:
    """float32 [N, H, W, C] after augmentation, from seed 1."""
    import tf_keras

    tf_keras.utils.set_random_seed(1)
    return random_affine(images.astype(np.float32), Augmentation(**limits)).numpy()


def test_the_seed_network_is_the_seed_project_s_unchanged() -> None:
    model = find_recipe("seed").build((28, 28, 1), 10)
    assert model.count_params() == 138_410
    assert tuple(type(layer).__name__ for layer in model.layers) == SEED_LAYERS
    convolutions, dense = layers(model, "Conv2D"), layers(model, "Dense")
    assert [layer.filters for layer in convolutions] == [32, 32, 64, 128]
    assert {layer.kernel_size for layer in convolutions} == {(3, 3)}
    assert {layer.padding for layer in convolutions} == {"valid"}
    assert [layer.rate for layer in layers(model, "Dropout")] == [0.2, 0.2, 0.5]
    assert [layer.units for layer in dense] == [256, 10]
    assert [layer.activation.__name__ for layer in (*convolutions, *dense)] == ["relu"] * 5 + ["softmax"]


def test_the_seed_recipe_trains_with_the_seed_project_s_settings() -> None:
    settings = find_recipe("seed").baseline
    assert (settings.epochs, settings.batch_size, settings.learning_rate, settings.patience) == (100, 128, 1e-3, 5)
    assert (settings.one_cycle, settings.weight_decay) == (False, 0), "plain Adam at a constant rate"
    assert settings.augmentation == Augmentation(rotation_degrees=8, shift=0.05, zoom=0.1, shear=0)


@pytest.mark.parametrize(("name", "optimizer", "from_logits"), [("seed", "Adam", False), ("compact", "AdamW", True)])
def test_the_optimizer_and_the_loss_follow_from_recipe_and_network(name: str, optimizer: str, from_logits: bool) -> None:
    recipe = find_recipe(name)
    model = recipe.build((28, 28, 1), 10)
    _compile(model, recipe.baseline, steps=10)
    assert type(model.optimizer).__name__ == optimizer
    assert model.loss.get_config()["from_logits"] is from_logits
    if not recipe.baseline.one_cycle:
        assert float(model.optimizer.learning_rate) == pytest.approx(recipe.baseline.learning_rate)


def test_a_one_cycle_rate_rises_to_its_peak_and_anneals_to_nearly_nothing() -> None:
    rates = [float(_one_cycle(1e-2, 100)(step)) for step in range(101)]
    assert rates[0] == pytest.approx(1e-2 / 25)
    assert int(np.argmax(rates)) == 25
    assert max(rates) == pytest.approx(1e-2)
    assert rates[-1] < 1e-4
    assert (np.diff(rates[25:]) < 0).all()


def test_compact_is_small_and_ends_in_logits() -> None:
    model = find_recipe("compact").build((28, 28, 1), 10)
    assert model.count_params() == 20_730
    assert model.layers[-1].activation.__name__ == "linear"
    assert not layers(model, "Softmax")
    assert all(layer.filters % 8 == 0 for layer in layers(model, "Conv2D"))


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_knows_neither_28_pixels_nor_ten_classes(name: str) -> None:
    model = find_recipe(name).build((32, 32, 3), 3)
    assert model.output_shape == (None, 3)
    answers = model(np.random.default_rng(0).random((2, 32, 32, 3), np.float32)).numpy()
    assert np.isfinite(answers).all()
    assert np.ptp(answers) > 0


def test_fine_tuning_is_short_and_gentle() -> None:
    for recipe in RECIPES.values():
        assert recipe.qat.learning_rate < recipe.baseline.learning_rate
        assert recipe.qat.epochs < recipe.baseline.epochs
        assert recipe.qat.augmentation == recipe.baseline.augmentation
    assert FINE_TUNING.augmentation == Augmentation(), "nothing is known of a stranger's pictures"


def test_an_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(InputError, match="Unknown recipe 'compcat'. Did you mean 'compact'?"):
        find_recipe("compcat")
    with pytest.raises(InputError, match="Known: compact, seed"):
        find_recipe("resnet")


def test_without_limits_augmentation_changes_nothing() -> None:
    images = np.random.default_rng(0).integers(0, 256, (8, 20, 14, 3), np.uint8)
    assert np.array_equal(augmented(images), images)


def test_augmentation_keeps_shape_and_range_of_pixels() -> None:
    images = np.random.default_rng(0).integers(0, 256, (16, 20, 14, 3), np.uint8)
    changed = augmented(images, **vars(ALL_LIMITS))
    assert changed.shape == images.shape
    assert changed.dtype == np.float32
    assert changed.min() >= 0
    assert changed.max() <= 255
    assert np.abs(changed - images).mean() > 10


@pytest.mark.parametrize("limits", [{"rotation_degrees": 10}, {"shift": 0.1}, {"zoom": 0.1}, {"shear": 0.1}], ids=lambda limits: next(iter(limits)))
def test_each_image_of_a_batch_is_changed_in_its_own_way(limits: dict[str, float]) -> None:
    batch = np.repeat(load_dataset("digits").images[:1], 16, axis=0)
    changed = augmented(batch, **limits)
    assert len(np.unique(changed.reshape(16, -1), axis=0)) == 16
    assert all(np.abs(image - batch[0]).max() > 1 for image in changed)


def centre_of_ink(images: np.ndarray) -> np.ndarray:
    """float [N, 2]: x and y of each image's centre of gravity, in pixels."""
    rows, columns = np.indices(images.shape[1:3])
    weights = images[..., 0] / images[..., 0].sum(axis=(1, 2), keepdims=True)
    return np.stack([(weights * columns).sum((1, 2)), (weights * rows).sum((1, 2))], axis=1)


def test_a_shift_moves_the_ink_by_at_most_its_share_of_the_picture() -> None:
    batch = np.zeros((64, 20, 40, 1), np.uint8)
    batch[:, 8:12, 18:22] = 255
    moved = np.abs(centre_of_ink(augmented(batch, shift=0.1)) - centre_of_ink(batch))
    assert (moved.max(axis=0) <= [4.0 + 1e-4, 2.0 + 1e-4]).all()
    assert (moved.max(axis=0) > [3.0, 1.5]).all()


def test_a_rotation_turns_by_at_most_its_degrees() -> None:
    batch = np.zeros((64, 41, 41, 1), np.uint8)
    batch[:, 19:22, 8:33] = 255
    weights = augmented(batch, rotation_degrees=10)[..., 0]
    rows, columns = np.indices((41, 41)) - 20
    turned = np.degrees(np.arctan2(2 * (weights * rows * columns).sum((1, 2)), (weights * (columns**2 - rows**2)).sum((1, 2)))) / 2
    assert np.abs(turned).max() <= 10.2
    assert turned.min() < -8
    assert turned.max() > 8


def test_rotation_and_zoom_leave_the_middle_of_the_picture_in_place() -> None:
    batch = np.zeros((64, 21, 21, 1), np.uint8)
    batch[:, 10, 4:17] = 255
    changed = augmented(batch, **vars(replace(ALL_LIMITS, shift=0)))
    assert np.abs(centre_of_ink(changed) - 10).max() < 0.05


def test_pixels_from_outside_repeat_the_edge() -> None:
    batch = np.full((8, 12, 12, 1), 200, np.uint8)
    assert np.abs(augmented(batch, **vars(ALL_LIMITS)) - 200.0).max() < 1e-3
