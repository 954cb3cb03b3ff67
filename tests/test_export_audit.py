"""The audit tells what a file is from its bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_runtime.errors import InputError
from export.audit import audit


def test_an_int8_flatbuffer_is_int8_throughout(tiny_artifacts: dict[str, Path]) -> None:
    found = audit(tiny_artifacts["tflite-int8"].read_bytes())
    assert found.is_int8
    assert (found.input_dtype, found.output_dtype) == ("int8", "int8")
    assert found.int8_macs_share == found.int8_weights_share == 1.0
    assert [operator.kind for operator in found.operators] == ["CONV_2D", "MEAN", "FULLY_CONNECTED"]


def test_a_float_flatbuffer_names_its_islands_by_layer(tiny_artifacts: dict[str, Path]) -> None:
    found = audit(tiny_artifacts["tflite-float32"].read_bytes())
    assert not found.is_int8
    assert found.int8_macs_share == 0.0
    assert any(island.startswith("CONV_2D") and "conv2d" in island for island in found.float_islands)


def test_multiply_accumulates_are_counted_by_hand(tiny_artifacts: dict[str, Path]) -> None:
    operators = audit(tiny_artifacts["tflite-int8"].read_bytes()).operators
    assert [operator.macs for operator in operators] == [6 * 6 * 4 * 3 * 3 * 1, 0, 4 * 3]
    assert [operator.weight_bytes for operator in operators] == [4 * 3 * 3 * 1, 0, 4 * 3]


def test_onnx_is_judged_after_onnx_runtime_has_fused_it(tiny_artifacts: dict[str, Path]) -> None:
    int8 = audit(tiny_artifacts["onnx-int8"].read_bytes())
    assert {operator.kind for operator in int8.operators} == {"QLinearConv", "QGemm"}
    assert int8.is_int8
    assert int8.to_dict()["int8_weights_share"] == 1.0
    float32 = audit(tiny_artifacts["onnx-float32"].read_bytes())
    assert len(float32.float_islands) == 2


@pytest.mark.parametrize("content", [b"", b"nothing", b"\x1c\x00\x00\x00TFL3" + bytes(64), b"\x08\x08" + bytes(80)])
def test_what_is_no_model_is_refused_in_one_line(content: bytes) -> None:
    with pytest.raises(InputError) as refusal:
        audit(content)
    assert "\n" not in str(refusal.value)
