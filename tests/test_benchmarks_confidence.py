from __future__ import annotations

import numpy as np
import pytest

from benchmarks.confidence import LogitScale, logit_scale
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
    assert found.value == pytest.approx(scale, rel=1e-3)
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


@pytest.mark.parametrize("noise", [0.5, 1, 2, 3])
@pytest.mark.parametrize("scale", [1, 4])
def test_two_networks_that_differ_are_as_sure_as_they_are(noise: float, scale: float) -> None:
    one, other = two_networks(noise)
    found = measured(softmax(one), softmax(scale * other))
    assert found.value == pytest.approx(scale, rel=0.15)
    assert bool(found.fault) == (scale == 4)


def test_two_networks_that_are_sure_of_nearly_all_are_not_blamed_for_where_one_is_unsure() -> None:
    """On the images that one is unsure of, the other one's log-odds are three times as large, and the other way round."""
    random = np.random.default_rng(3)
    shared = random.normal(size=(8400, 10)) + 11 * np.eye(10)[random.integers(10, size=8400)]
    one, other = (softmax(shared + 2 * random.normal(size=shared.shape)) for _ in range(2))
    assert measured(one, other).value == pytest.approx(1, abs=0.1)
    assert not measured(one, other).fault


@pytest.mark.parametrize(("images", "spread", "noise"), [(12, 1, 0.5), (50, 1, 0.5), (100, 1, 0.5)])
def test_few_images_and_noise_are_no_fault(images: int, spread: float, noise: float) -> None:
    random = np.random.default_rng(2)
    for _ in range(100):
        logits = spread * random.normal(size=(images, 10))
        found = logit_scale(softmax(logits), softmax(logits + noise * random.normal(size=logits.shape)))
        assert found is None or not found.fault


@pytest.mark.parametrize(("scale", "low", "high"), [(1, 0.95, 1.05), (4, 2, 4.5), (0.25, 0.2, 0.3)])
def test_probabilities_of_eight_bits_say_enough(scale: float, low: float, high: float) -> None:
    found = measured(softmax(LOGITS), np.round(softmax(scale * LOGITS) * 256) / 256)
    assert low < found.value < high
    assert bool(found.fault) == (scale != 1)


def test_softmax_applied_twice_is_asked_about() -> None:
    assert (measured(softmax(LOGITS), softmax(softmax(LOGITS))).fault or "").endswith("is softmax applied twice, or a scale lost?")
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


@pytest.mark.parametrize(("scale", "faulty"), [(0.7, True), (0.82, False), (1.22, False), (1.45, True)])
def test_a_small_factor_is_allowed(scale: float, faulty: bool) -> None:
    assert bool(measured(softmax(LOGITS), softmax(scale * LOGITS)).fault) == faulty
