from __future__ import annotations

import numpy as np
import pytest

from benchmarks.confidence import fault, logit_scale
from edge_runtime.tensors import softmax

RANDOM = np.random.default_rng(0)
LOGITS = 4 * RANDOM.normal(size=(2000, 10))
SURE = 40 * np.eye(10)[RANDOM.integers(10, size=2000)]


@pytest.mark.parametrize("scale", [0.25, 0.9, 1, 1.1, 4, 10])
def test_the_scale_of_the_logits_is_read_off_the_probabilities(scale: float) -> None:
    assert logit_scale(softmax(LOGITS), softmax(scale * LOGITS)) == pytest.approx(scale, rel=1e-3)


def test_another_bias_of_all_classes_is_no_scale() -> None:
    assert logit_scale(softmax(LOGITS), softmax(LOGITS + 7)) == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize("noise", [0.05, 0.2])
def test_quantization_noise_and_some_flips_are_no_scale(noise: float) -> None:
    after = softmax(LOGITS + noise * np.random.default_rng(1).normal(size=LOGITS.shape))
    assert logit_scale(softmax(LOGITS), after) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize(("scale", "low", "high"), [(1, 0.95, 1.05), (4, 2.2, 4.5), (0.25, 0.2, 0.3)])
def test_probabilities_of_eight_bits_say_enough(scale: float, low: float, high: float) -> None:
    rounded = np.round(softmax(scale * LOGITS) * 256) / 256
    assert low < (logit_scale(softmax(LOGITS), rounded) or 0) < high


def test_softmax_applied_twice_is_asked_about() -> None:
    scale = logit_scale(softmax(LOGITS), softmax(softmax(LOGITS)))
    assert (fault(scale) or "").endswith("softmax applied twice?")


def test_answers_that_are_all_sure_tell_nothing() -> None:
    assert logit_scale(softmax(SURE), softmax(4 * SURE)) is None
    few = np.concatenate([LOGITS[:3], SURE])
    assert logit_scale(softmax(few), softmax(4 * few)) is None


@pytest.mark.parametrize("before", [np.full((99, 2), 0.5), np.ones((99, 1)), softmax(SURE)])
def test_what_has_no_odds_has_no_scale(before: np.ndarray) -> None:
    assert logit_scale(before, before) is None


def test_an_export_that_answers_zeros_keeps_no_odds() -> None:
    assert fault(logit_scale(softmax(LOGITS), np.zeros_like(LOGITS)))


def test_two_classes_are_enough() -> None:
    assert logit_scale(softmax(LOGITS[:, :2]), softmax(3 * LOGITS[:, :2])) == pytest.approx(3, rel=1e-3)


@pytest.mark.parametrize(("scale", "faulty"), [(None, False), (0.58, False), (1.0, False), (1.75, False), (0.57, True), (1.76, True), (-1.0, True)])
def test_a_small_factor_is_allowed(scale: float | None, faulty: bool) -> None:
    assert bool(fault(scale)) == faulty
