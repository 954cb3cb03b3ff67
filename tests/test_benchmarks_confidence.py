from __future__ import annotations

import numpy as np
import pytest

from benchmarks.confidence import FACTOR, LogitScale, logit_scale
from edge_runtime.tensors import softmax

RANDOM = np.random.default_rng(0)
LOGITS = 4 * RANDOM.normal(size=(2000, 10))
SURE = 40 * np.eye(10)[RANDOM.integers(10, size=2000)]


def measured(before: np.ndarray, after: np.ndarray) -> LogitScale:
    found = logit_scale(before, after)
    assert found is not None
    return found


@pytest.mark.parametrize("scale", [0.25, 0.9, 1, 1.1, 4, 10])
def test_the_scale_of_the_logits_is_read_off_the_probabilities(scale: float) -> None:
    found = measured(softmax(LOGITS), softmax(scale * LOGITS))
    assert (found.value, found.low, found.high) == pytest.approx((scale, scale, scale), rel=1e-3)
    assert bool(found.fault) == (scale in (0.25, 4, 10))


def test_another_bias_of_all_classes_is_no_scale() -> None:
    assert measured(softmax(LOGITS), softmax(LOGITS + 7)).value == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize("noise", [0.05, 0.2])
def test_quantization_noise_and_some_flips_are_no_scale(noise: float) -> None:
    after = softmax(LOGITS + noise * np.random.default_rng(1).normal(size=LOGITS.shape))
    assert measured(softmax(LOGITS), after).value == pytest.approx(1, abs=0.03)


def two_networks(noise: float) -> list[np.ndarray]:
    """Logits of two that are as good and as sure as each other; each errs in its own way."""
    return [LOGITS + noise * np.random.default_rng(seed).normal(size=LOGITS.shape) for seed in (1, 2)]


@pytest.mark.parametrize("noise", [0.5, 1])
@pytest.mark.parametrize("scale", [1, 4])
def test_two_networks_are_compared_by_what_both_show(noise: float, scale: float) -> None:
    one, other = two_networks(noise)
    found = measured(softmax(one), softmax(scale * other))
    assert found.low < scale < found.high
    assert bool(found.fault) == (scale == 4)


@pytest.mark.parametrize("noise", [2, 3, 6])
def test_networks_that_hardly_agree_are_not_called_surer(noise: float) -> None:
    one, other = two_networks(noise)
    assert not measured(softmax(one), softmax(other)).fault


@pytest.mark.parametrize(("images", "spread", "noise"), [(12, 1, 0.5), (200, 0.02, 0.05), (200, 1e-8, 0.01)])
def test_few_images_and_near_ties_are_no_fault(images: int, spread: float, noise: float) -> None:
    random = np.random.default_rng(2)
    for _ in range(100):
        logits = spread * random.normal(size=(images, 10))
        found = logit_scale(softmax(logits), softmax(logits + noise * random.normal(size=logits.shape)))
        assert found is None or not found.fault


@pytest.mark.parametrize(("scale", "low", "high"), [(1, 0.95, 1.05), (4, 2.2, 4.5), (0.25, 0.2, 0.3)])
def test_probabilities_of_eight_bits_say_enough(scale: float, low: float, high: float) -> None:
    rounded = np.round(softmax(scale * LOGITS) * 256) / 256
    assert low < measured(softmax(LOGITS), rounded).value < high


def test_softmax_applied_twice_is_asked_about() -> None:
    assert (measured(softmax(LOGITS), softmax(softmax(LOGITS))).fault or "").endswith("softmax applied twice?")
    assert not (measured(softmax(LOGITS), softmax(4 * LOGITS)).fault or "").endswith("?")


def test_answers_that_are_all_sure_tell_nothing() -> None:
    assert logit_scale(softmax(SURE), softmax(4 * SURE)) is None
    few = np.concatenate([LOGITS[:3], SURE])
    assert logit_scale(softmax(few), softmax(4 * few)) is None


@pytest.mark.parametrize("before", [np.full((99, 2), 0.5), np.ones((99, 1)), softmax(SURE)])
def test_what_has_no_odds_has_no_scale(before: np.ndarray) -> None:
    assert logit_scale(before, before) is None


def test_an_export_that_answers_zeros_keeps_no_odds() -> None:
    assert measured(softmax(LOGITS), np.zeros_like(LOGITS)).fault


def test_two_classes_are_enough() -> None:
    assert measured(softmax(LOGITS[:, :2]), softmax(3 * LOGITS[:, :2])).value == pytest.approx(3, rel=1e-3)


@pytest.mark.parametrize(
    ("low", "high", "faulty"), [(1, 1, False), (0.1, 9, False), (FACTOR, 9, False), (0.1, 1 / FACTOR, False), (1.76, 9, True), (-1, 0.57, True)]
)
def test_a_fault_is_beyond_the_factor_with_all_of_its_interval(low: float, high: float, faulty: bool) -> None:
    assert bool(LogitScale(low, low, high).fault) == faulty
