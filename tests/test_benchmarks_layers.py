from __future__ import annotations

import numpy as np
import pytest

from benchmarks.layers import MOST_DB, KerasLayers, LayerRow, Tensor, layer_table, signal_to_noise_db, snr_before, suspect
from edge_runtime.tensors import Quantization

RNG = np.random.default_rng(0)
SHAPES = {"input": (4, 6, 6, 1), "conv": (4, 6, 6, 3), "pool": (4, 3, 3, 3), "conv_1": (4, 3, 3, 5), "dense": (4, 7)}
REFERENCE = {layer: np.maximum(RNG.normal(1, 1, shape), 0).astype(np.float32) for layer, shape in SHAPES.items()}


def noisy(layer: str, db: float) -> np.ndarray:
    """The layer's reference with noise at exactly this ratio."""
    wanted = REFERENCE[layer].astype(np.float64)
    noise = RNG.normal(size=wanted.shape)
    noise *= np.sqrt((wanted**2).sum() / (noise**2).sum() / 10 ** (db / 10))
    return wanted + noise


def tensors(ratios: dict[str, float]) -> list[Tensor]:
    """What an export computed, of layers with these ratios, named as TFLite names them; the answer's name is the converter's."""
    names = {layer: f"m/quant_{layer}/Relu;m/quant_{layer}/BiasAdd;m/quant_conv_1/Conv2D" for layer in ratios}
    names |= {"input": "input", "dense": "StatefulPartitionedCall:0"}
    return [Tensor(names[layer], noisy(layer, ratio), None) for layer, ratio in ratios.items()]


def table(*ratios: float, logits: bool = True) -> list[LayerRow]:
    return layer_table(KerasLayers(REFERENCE), tensors(dict(zip(SHAPES, ratios, strict=True))), ends_in_logits=logits)


@pytest.mark.parametrize("db", [-12.0, 0.0, 37.5])
def test_the_ratio_is_the_one_that_was_made(db: float) -> None:
    assert signal_to_noise_db(REFERENCE["conv"], noisy("conv", db)) == pytest.approx(db, abs=0.01)


def test_ratios_without_a_logarithm() -> None:
    one, nothing = np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32)
    assert signal_to_noise_db(one, one) == signal_to_noise_db(nothing, nothing) == MOST_DB
    assert signal_to_noise_db(nothing, one) == -MOST_DB
    assert signal_to_noise_db(one, np.array([[1, 1, np.nan], [1, 1, 1]], np.float32)) == -MOST_DB
    assert signal_to_noise_db(one, 3 * one) == pytest.approx(-6.02, abs=0.01), "twice as much too much"


@pytest.mark.parametrize(
    ("ratios", "damaged"),
    [
        ((100, 38, 37, 4, 2), "conv_1"),
        ((100, 3, 4, 1, -2), "conv"),
        ((8, 6, 5, 3, 1), "input"),
        ((100, 90, 88, 60, -1), "dense"),
        ((100, 12, 30, 9, 5), "conv"),  # recovers in between, as on another branch: what follows falls no further
        ((100, 70, 69, 30, 8), "dense"),  # from 70 to 30 is what int8 costs anyway
    ],
)
def test_the_suspect_is_the_first_damaged_layer(ratios: tuple[float, ...], damaged: str) -> None:
    rows = table(*ratios)
    assert [row.layer for row in rows] == list(SHAPES), "the network's order"
    assert [row.snr_db for row in rows] == pytest.approx(ratios, abs=0.01)
    found = suspect(rows)
    assert found is not None
    assert found.layer == damaged
    before = list(SHAPES).index(damaged)
    assert snr_before(rows, damaged) == pytest.approx(min(ratios[:before], default=MOST_DB), abs=0.01)


def test_falls_are_counted_from_what_int8_keeps() -> None:
    assert [row.fall_db for row in table(100, 70, 20, 25, 10)] == pytest.approx([0, 0, 10, -5, 10], abs=0.01)


def test_an_empty_table_has_no_suspect() -> None:
    assert suspect([]) is None


def test_the_answer_is_the_last_layer_only_if_it_is_logits() -> None:
    assert [row.layer for row in table(100, 40, 40, 40, 40, logits=False)] == list(SHAPES)[:-1]


def test_the_last_operator_of_a_layer_counts_and_others_sizes_do_not() -> None:
    found = [
        Tensor("input", REFERENCE["input"], None),
        Tensor("m/conv/Conv2D", noisy("conv", 3), None),
        Tensor("m/conv/Relu", noisy("conv", 33), None),
        Tensor("m/conv/Shape", np.zeros((4, 3), np.float32), None),
        Tensor("m/conv/Reshape/shape", np.zeros((4, 6, 6, 3), np.int32), None),
        Tensor("m/conv_10/Relu", noisy("conv", 1), None),
    ]
    assert [(row.layer, round(row.snr_db)) for row in layer_table(KerasLayers(REFERENCE), found, ends_in_logits=True)] == [
        ("input", 150),
        ("conv", 33),
    ]


def test_a_tensor_called_after_a_fused_layer_is_that_of_the_layer_that_computes_it() -> None:
    fused = KerasLayers({"input": REFERENCE["input"], "conv": REFERENCE["conv"]}, fused={"norm": "conv", "act": "conv"})
    for name in ("m/act/Relu;m/norm/FusedBatchNormV3;m/conv/Conv2D", "m/conv/Relu;m/conv/BiasAdd", "m/act/Relu:0", "m/norm/FusedBatchNormV3:0"):
        found = [Tensor("input", REFERENCE["input"], None), Tensor(name, noisy("conv", 33), None)]
        assert [(row.layer, round(row.snr_db)) for row in layer_table(fused, found, ends_in_logits=True)] == [("input", 150), ("conv", 33)]


def test_what_a_layer_answers_with_its_neighbour_folded_is_right_too() -> None:
    reference = KerasLayers(REFERENCE, folded={"pool": 3 * REFERENCE["pool"] - 1})
    for values in (noisy("pool", 33), 3 * noisy("pool", 33) - 1):
        found = [Tensor("input", REFERENCE["input"], None), Tensor("m/pool/MaxPool", values, None)]
        assert layer_table(reference, found, ends_in_logits=True)[1].snr_db > 30


def test_channels_first_is_put_in_order() -> None:
    found = [Tensor("input", REFERENCE["input"], None), Tensor("m/conv_1/Relu:0", np.moveaxis(noisy("conv_1", 31), -1, 1)[:, np.newaxis], None)]
    assert layer_table(KerasLayers(REFERENCE), found, ends_in_logits=True)[1].snr_db == pytest.approx(31, abs=0.01)


def test_fewer_images_than_the_reference_are_compared_with_the_first() -> None:
    found = [Tensor(tensor.name, tensor.values[:2], None) for tensor in tensors({"input": 100, "conv": 60})]
    assert layer_table(KerasLayers(REFERENCE), found, ends_in_logits=True)[1].snr_db == pytest.approx(60, abs=5)


def saturated(steps: list[int], wanted: list[float], zero_point: int) -> float | None:
    reference = KerasLayers({"input": np.array([wanted], np.float32)})
    received = Tensor("input", np.array([steps], np.int8), Quantization(0.5, zero_point, "int8"))
    return layer_table(reference, [received], ends_in_logits=True)[0].saturated


def test_saturated_is_what_sticks_at_an_end_and_should_not() -> None:
    assert saturated([127, 127, 0, -128], [255 / 2, 200, 64, 9], -128) == 0.25, "the second; the first is there rightly, a ReLU ends at the last"
    assert saturated([127, 127, 0, -128], [63.5, 200, 0, -90], 0) == 0.5
    assert saturated([126, -127, 5, 5], [90, -90, 90, 90], 0) == 0


def test_floats_do_not_saturate_and_integers_are_compared_as_what_they_mean() -> None:
    assert table(100, 40, 40, 40, 40)[1].saturated is None
    quantization = Quantization(0.01, -128, "int8")
    found = [Tensor("input", REFERENCE["input"], None), Tensor("m/conv/Relu", quantization.quantize(REFERENCE["conv"] / 2), quantization)]
    assert layer_table(KerasLayers(REFERENCE), found, ends_in_logits=True)[1].snr_db == pytest.approx(6.02, abs=0.2)
