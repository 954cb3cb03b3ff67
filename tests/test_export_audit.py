"""The audit tells what a file is from its bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto, helper

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
    assert {operator.kind for operator in int8.operators if operator.dtype == "int8"} >= {"QLinearConv", "QGemm"}
    assert int8.is_int8
    assert int8.to_dict()["int8_weights_share"] == 1.0
    float32 = audit(tiny_artifacts["onnx-float32"].read_bytes())
    assert not float32.is_int8
    assert [island.split()[0] for island in float32.float_islands] == ["FusedConv", "GlobalAveragePool", "Gemm"]


def onnx_graph(*kinds: str, **attributes: Any) -> bytes:
    """A chain of operators on float [1, 4], each with one input and one output; "Q" and "DQ" convert to uint8 and back."""
    constants = [helper.make_tensor("scale", TensorProto.FLOAT, [], [0.1]), helper.make_tensor("zero", TensorProto.UINT8, [], [0])]
    nodes = []
    for index, kind in enumerate(kinds):
        name = {"Q": "QuantizeLinear", "DQ": "DequantizeLinear"}.get(kind, kind)
        inputs = [f"t{index}", *(("scale", "zero") if name != kind else ()), *((f"t{index}",) if kind == "Mul" else ())]
        nodes.append(helper.make_node(name, inputs, [f"t{index + 1}"], name=f"{kind.lower()}_{index}", **attributes.get(kind, {})))
    ends = [helper.make_tensor_value_info(end, TensorProto.FLOAT, (1, 4)) for end in ("t0", f"t{len(kinds)}")]
    graph = helper.make_graph(nodes, "graph", ends[:1], ends[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def test_any_float_arithmetic_in_onnx_is_an_island() -> None:
    found = audit(onnx_graph("Mul", "Sigmoid", "ReduceMean", ReduceMean={"axes": [1]}))
    assert [island.split()[0] for island in found.float_islands] == ["Mul", "Sigmoid", "ReduceMean"]
    assert not found.is_int8
    between = audit(onnx_graph("Q", "DQ", "Tanh", "Q", "DQ", "Sigmoid", "Q", "DQ"))
    assert [island.split()[0] for island in between.float_islands] == ["Tanh"], "the sigmoid has an int8 kernel"
    assert not between.is_int8


def test_moving_numbers_is_no_arithmetic_in_int8_either() -> None:
    found = audit(onnx_graph("Q", "DQ", "Identity"))
    assert found.float_islands == []
    assert not found.is_int8


def test_a_softmax_may_be_float_as_the_last_operator_only() -> None:
    head = audit(onnx_graph("Q", "DQ", "Sigmoid", "Q", "DQ", "Softmax"))
    assert head.float_islands == []
    assert head.is_int8
    inner = audit(onnx_graph("Softmax", "Q", "DQ", "Sigmoid", "Q", "DQ"))
    assert [island.split()[0] for island in inner.float_islands] == ["Softmax"]


@pytest.mark.parametrize("content", [b"", b"nothing", b"\x1c\x00\x00\x00TFL3" + bytes(64), b"\x08\x08" + bytes(80)])
def test_what_is_no_model_is_refused_in_one_line(content: bytes) -> None:
    with pytest.raises(InputError) as refusal:
        audit(content)
    assert "\n" not in str(refusal.value)
