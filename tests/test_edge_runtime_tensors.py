from __future__ import annotations

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edge_runtime.answers import to_probabilities
from edge_runtime.tensors import Quantization, softmax

SCALES = st.floats(2.0**-20, 2.0**4, width=32)
REALS = hnp.arrays(np.float32, st.integers(1, 50), elements=st.floats(-1e6, 1e6, width=32))


@st.composite
def quantizations(draw: st.DrawFn) -> Quantization:
    dtype = draw(st.sampled_from(["int8", "uint8", "int16"]))
    limits = np.iinfo(dtype)
    return Quantization(draw(SCALES), draw(st.integers(int(limits.min), int(limits.max))), dtype)


def representable(quantization: Quantization) -> tuple[float, float]:
    limits = np.iinfo(quantization.dtype)
    return (limits.min - quantization.zero_point) * quantization.scale, (limits.max - quantization.zero_point) * quantization.scale


@given(quantizations(), st.data())
def test_a_round_trip_inside_the_range_errs_by_half_a_step_at_most(quantization: Quantization, data: st.DataObject) -> None:
    low, high = representable(quantization)
    shares = data.draw(hnp.arrays(np.float64, 20, elements=st.floats(0, 1)))
    real = (low + shares * (high - low)).astype(np.float32)
    error = np.abs(quantization.dequantize(quantization.quantize(real)).astype(np.float64) - real)
    rounding = 4 * np.finfo(np.float32).eps * max(abs(low), abs(high))  # float32 itself
    assert error.max() <= quantization.scale / 2 + rounding


@given(quantizations())
def test_every_integer_survives_dequantize_and_quantize(quantization: Quantization) -> None:
    limits = np.iinfo(quantization.dtype)
    integers = np.arange(limits.min, limits.max + 1, max(1, (limits.max - limits.min) // 999)).astype(quantization.dtype)
    again = quantization.quantize(quantization.dequantize(integers))
    assert again.dtype == quantization.dtype
    np.testing.assert_array_equal(again, integers)


@given(quantizations(), REALS)
def test_what_lies_outside_the_range_saturates_and_never_wraps_around(quantization: Quantization, real: np.ndarray) -> None:
    low, high = representable(quantization)
    limits = np.iinfo(quantization.dtype)
    integers = quantization.quantize(real).astype(np.int64)
    assert (integers[real > high + quantization.scale] == limits.max).all()
    assert (integers[real < low - quantization.scale] == limits.min).all()
    order = np.argsort(real, kind="stable")
    assert (np.diff(integers[order]) >= 0).all(), "a larger number never becomes a smaller integer"


@given(quantizations())
def test_infinities_saturate(quantization: Quantization) -> None:
    limits = np.iinfo(quantization.dtype)
    assert quantization.quantize(np.array([-np.inf, np.inf])).tolist() == [limits.min, limits.max]


@pytest.mark.parametrize(("real", "integer"), [(0.5, 0), (1.5, 2), (2.5, 2), (-0.5, 0), (-1.5, -2), (-2.5, -2), (2.50001, 3), (126.5, 126)])
def test_halves_go_to_the_even_neighbour(real: float, integer: int) -> None:
    assert Quantization(1.0, 0, "int8").quantize(np.array([real])).tolist() == [integer]


def test_halves_are_rounded_before_an_odd_zero_point_is_added() -> None:
    assert Quantization(1.0, 3, "int8").quantize(np.array([0.5, 1.5, 2.5])).tolist() == [3, 5, 5]


def test_the_difference_to_the_zero_point_is_taken_in_wider_integers() -> None:
    extremes = np.array([-128, 127], np.int8)
    assert Quantization(1.0, 127, "int8").dequantize(extremes).tolist() == [-255.0, 0.0]
    assert Quantization(1.0, -128, "int8").dequantize(extremes).tolist() == [0.0, 255.0]
    assert Quantization(1.0, 255, "uint8").dequantize(np.array([0], np.uint8)).tolist() == [-255.0]
    assert Quantization(1.0, 32767, "int16").dequantize(np.array([-32768], np.int16)).tolist() == [-65535.0]


@given(hnp.arrays(np.float32, st.tuples(st.integers(1, 8), st.integers(1, 12)), elements=st.floats(-1e4, 1e4, width=32)))
def test_softmax_is_scipys(logits: np.ndarray) -> None:
    got = softmax(logits)
    assert got.dtype == np.float32
    assert got.shape == logits.shape
    np.testing.assert_allclose(got, scipy.special.softmax(logits.astype(np.float64), axis=-1), atol=3e-6)
    np.testing.assert_allclose(got.sum(axis=-1), 1.0, rtol=1e-5)


def test_softmax_of_huge_logits_neither_overflows_nor_gives_nan() -> None:
    np.testing.assert_array_equal(softmax(np.array([[1e38, -1e38, 0.0]], np.float32)), [[1.0, 0.0, 0.0]])


def test_softmax_of_double_precision_logits_is_single_precision() -> None:
    assert softmax(np.array([[0.1, 0.2]])).dtype == np.float32


def test_quantized_logits_become_the_probabilities_of_their_real_values() -> None:
    raw = np.array([[-128, 0, 127], [5, 5, -7]], np.int8)
    real = (raw.astype(np.float64) - 10) * 0.25
    got = to_probabilities(raw, Quantization(0.25, 10, "int8"), "logits")
    np.testing.assert_allclose(got, scipy.special.softmax(real, axis=1), atol=1e-6)


def test_probabilities_are_dequantized_but_not_softmaxed_again() -> None:
    got = to_probabilities(np.array([[-128, 127]], np.int8), Quantization(1 / 256, -128, "int8"), "probabilities")
    np.testing.assert_allclose(got, [[0.0, 255 / 256]])
