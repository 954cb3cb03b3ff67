"""The split keeps validation images out of everything else, gives every class its share, and is decided by the seed alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.errors import EdgeproofError
from train.datasets import load_dataset
from train.splits import CALIBRATION_IMAGES, Split, _check_disjoint, stratified_split


@st.composite
def label_lists(draw: st.DrawFn) -> np.ndarray:
    """int64 [N]: 2 to 12 classes of 10 to 120 images, the least a data set may have, in any order."""
    counts = draw(st.lists(st.integers(10, 120), min_size=2, max_size=12))
    order = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return order.permutation(np.repeat(np.arange(len(counts)), counts))


seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=60, deadline=None)


@given(label_lists(), seeds)
@few
def test_parts_are_disjoint_and_lose_no_image(labels: np.ndarray, seed: int) -> None:
    split = stratified_split(labels, seed)
    together = np.concatenate([split.fit, split.selection, split.validation])
    assert np.array_equal(np.sort(together), np.arange(len(labels)))


@given(label_lists(), seeds)
@few
def test_calibration_images_are_among_those_the_weights_are_fitted_to(labels: np.ndarray, seed: int) -> None:
    split = stratified_split(labels, seed)
    assert np.isin(split.calibration, split.fit).all()
    assert len(np.unique(split.calibration)) == len(split.calibration) > 0
    assert len(split.calibration) == CALIBRATION_IMAGES or np.array_equal(split.calibration, split.fit)


@given(label_lists(), seeds)
@few
def test_every_class_has_its_share_of_every_part(labels: np.ndarray, seed: int) -> None:
    split = stratified_split(labels, seed)
    counts = np.bincount(labels)
    for part in (split.fit, split.selection, split.validation, split.calibration):
        expected = counts * len(part) / len(labels)
        assert np.abs(np.bincount(labels[part], minlength=len(counts)) - expected).max() <= 2, "an image off for each of the two cuts"
    assert len(split.validation) == np.ceil(len(labels) * 0.2)
    assert np.bincount(labels[split.validation]).min() >= 1


@given(label_lists(), seeds)
@few
def test_the_seed_decides(labels: np.ndarray, seed: int) -> None:
    split = stratified_split(labels, seed)
    assert stratified_split(labels, seed).sha256 == split.sha256
    other = stratified_split(labels, (seed + 1) % 2**32).sha256
    assert other["validation"] != split.sha256["validation"]
    assert other["fit"] != split.sha256["fit"]


def test_the_digits_split_into_30240_and_3360_and_8400() -> None:
    labels = load_dataset("digits").labels
    split = stratified_split(labels, 0)
    assert [len(part) for part in (split.fit, split.selection, split.validation, split.calibration)] == [30_240, 3_360, 8_400, 500]
    shares = [np.bincount(labels[part]) / len(part) for part in (split.fit, split.selection, split.validation)]
    assert np.ptp(shares, axis=0).max() < 5e-4
    assert all((np.diff(part) > 0).all() for part in (split.fit, split.selection, split.validation, split.calibration)), "sorted"


def test_more_classes_than_calibration_images_still_split() -> None:
    labels = np.repeat(np.arange(600), 10)
    split = stratified_split(labels, 0)
    assert len(split.calibration) == len(np.unique(labels[split.calibration])) == 600


def test_hashes_tell_the_parts_apart() -> None:
    split = stratified_split(np.repeat(np.arange(10), 100), 0)
    assert set(split.sha256) == {"fit", "selection", "calibration", "validation"}
    assert len(set(split.sha256.values())) == 4


@pytest.mark.parametrize(
    "parts",
    [
        ([0, 1], [2], [0], [2, 3]),
        ([0], [2], [0], [3]),
        ([0, 1], [2], [3], [3]),
        ([0, 1], [2], [2], [3]),
    ],
    ids=["selection in validation", "an image lost", "calibration in validation", "calibration in selection"],
)
def test_a_leak_between_parts_is_noticed(parts: tuple[list[int], ...]) -> None:
    with pytest.raises(EdgeproofError, match="overlap"):
        _check_disjoint(Split(0, *(np.array(part) for part in parts)), 4)
