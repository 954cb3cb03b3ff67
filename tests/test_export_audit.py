"""The audit tells what a file is from its bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import quantize_dynamic

from edge_runtime.errors import InputError
from export.audit import audit, printable
from export.embed import embedded
from export.support import support

ROOT = Path(__file__).parent.parent


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


def test_onnx_multiply_accumulates_are_those_of_the_flatbuffer(tiny_artifacts: dict[str, Path]) -> None:
    counts = {name: audit(path.read_bytes()).macs for name, path in tiny_artifacts.items()}
    assert set(counts.values()) == {6 * 6 * 4 * 3 * 3 * 1 + 4 * 3}, counts
    assert audit(tiny_artifacts["onnx-int8"].read_bytes()).int8_macs_share == 1.0
    assert audit(tiny_artifacts["onnx-float32"].read_bytes()).int8_macs_share == 0.0


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


def onnx_layer(
    kind: str, shape: list[int | str], weights: list[int], *, domain: str = "", opset: int = 17, ir_version: int = 8, **options: Any
) -> bytes:
    """One layer with float weights: float `shape` in, whatever comes out."""
    values = numpy_helper.from_array(np.linspace(-1, 1, int(np.prod(weights)), dtype=np.float32).reshape(weights), "w")
    node = helper.make_node(kind, ["x", "w"], ["y"], name="layer", domain=domain, **options)
    ends = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape), helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([node], "graph", ends[:1], ends[1:], [values])
    domains = [helper.make_opsetid("", opset), *([helper.make_opsetid(domain, 1)] if domain else [])]
    return bytes(helper.make_model(graph, opset_imports=domains, ir_version=ir_version).SerializeToString())


@pytest.mark.parametrize(
    ("layer", "macs"),
    [
        (onnx_layer("Conv", ["batch", 4, 8, 8], [6, 2, 3, 3], group=2), 6 * 6 * 6 * 2 * 3 * 3),
        (onnx_layer("ConvTranspose", [1, 4, 8, 8], [4, 6, 3, 3]), 8 * 8 * 4 * 6 * 3 * 3),
        (onnx_layer("MatMul", ["batch", 5, 7], [7, 3]), 5 * 7 * 3),
        (onnx_layer("Gemm", [7, 1], [7, 3], transA=1), 7 * 3),
        (onnx_layer("Conv", [1, 4, "height", 8], [6, 4, 3, 3]), None),
    ],
)
def test_onnx_layers_are_counted_at_batch_one_where_their_sizes_are_known(layer: bytes, macs: int | None) -> None:
    found = audit(layer)
    assert found.macs == macs
    assert found.int8_macs_share == (None if macs is None else 0.0)


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (onnx_layer("MatMul", [1, 7], [7, 3], opset=99), "opset 99"),
        (onnx_layer("MatMul", [1, 7], [7, 3], ir_version=99), "IR version 99"),
        (onnx_layer("Mine", [1, 7], [7, 3], domain="house"), "Mine"),
    ],
)
def test_what_onnx_runtime_does_not_take_is_still_read(layer: bytes, said: str) -> None:
    found = audit(layer)
    assert not found.is_int8
    assert found.operators[0].weight_bytes == 7 * 3 * 4
    answer = support(found)["onnxruntime"]
    assert not answer.loads
    assert said in answer.reason


def test_onnx_quantized_at_run_time_is_dynamic_range(tiny_artifacts: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "float.onnx").write_bytes(onnx_layer("MatMul", [1, 64], [64, 32]))
    quantize_dynamic(tmp_path / "float.onnx", tmp_path / "dynamic.onnx")
    found = audit((tmp_path / "dynamic.onnx").read_bytes())
    assert (found.precision, found.is_int8, found.int8_weights_share) == ("dynamic-range", False, 1.0)


def test_weights_in_another_file_are_refused(tmp_path: Path) -> None:
    model = onnx.load_model_from_string(onnx_layer("MatMul", [1, 64], [64, 32]))
    onnx.save_model(model, tmp_path / "split.onnx", save_as_external_data=True, size_threshold=0)
    with pytest.raises(InputError, match="save it as one file"):
        audit((tmp_path / "split.onnx").read_bytes())


@pytest.mark.parametrize("format", ["tflite-int8", "tflite-float32", "onnx-int8"])
@given(data=st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_bytes_are_read_or_refused_in_one_line(tiny_artifacts: dict[str, Path], format: str, data: st.DataObject) -> None:
    content = bytearray(tiny_artifacts[format].read_bytes())
    words = st.sampled_from([b"\xff" * 4, b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\0\x10\0\0"]) | st.binary(min_size=1, max_size=4)
    for at, word in data.draw(st.lists(st.tuples(st.integers(8, len(content) - 4), words), max_size=8)):
        content[at : at + len(word)] = word
    damaged = bytes(content[: data.draw(st.integers(8, len(content)))])
    said = ""
    try:
        json.dumps(audit(damaged).to_dict())
    except InputError as error:
        said = str(error)
    assert "\n" not in said


def test_a_length_beyond_the_file_is_no_loop(tiny_artifacts: dict[str, Path]) -> None:
    """Each word of the file in turn becomes a huge number: the reader must not believe any of them."""
    content = tiny_artifacts["tflite-int8"].read_bytes()
    begin = time.process_time()
    refused = 0
    for at in range(8, 1200, 4):
        try:
            audit(content[:at] + (1 << 20).to_bytes(4, "little") + content[at + 4 :])
        except InputError:
            refused += 1
    assert refused > 100
    assert time.process_time() - begin < 10


def test_names_cannot_write_on_the_terminal() -> None:
    assert printable("conv\x1b[2J\r\n" + "x" * 500) == "conv?[2J??" + "x" * 190


@pytest.mark.parametrize("content", [b"", b"nothing", b"\x1c\x00\x00\x00TFL3" + bytes(64), b"\x08\x08" + bytes(80)])
def test_what_is_no_model_is_refused_in_one_line(content: bytes) -> None:
    with pytest.raises(InputError) as refusal:
        audit(content)
    assert "\n" not in str(refusal.value)


def changed(content: bytes, change: Callable[[Any], object]) -> bytes:
    """A `.tflite` with something else in its tables."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    change(model)
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def without_inputs(content: bytes) -> bytes:
    return changed(content, lambda model: setattr(model.subgraphs[0], "inputs", []))


def test_a_file_that_takes_or_gives_nothing_is_refused(tiny_artifacts: dict[str, Path]) -> None:
    tflite = tiny_artifacts["tflite-int8"].read_bytes()
    with pytest.raises(InputError, match="has no inputs"):
        audit(without_inputs(tflite))
    with pytest.raises(InputError, match="holds no network"):
        audit(changed(tflite, lambda model: setattr(model.subgraphs[0], "outputs", [])))
    constant = onnx.load_from_string(onnx_graph("Tanh"))
    constant.graph.initializer.append(helper.make_tensor("t0", TensorProto.FLOAT, (1, 4), [0.0] * 4))
    with pytest.raises(InputError, match="has no inputs"):
        audit(constant.SerializeToString())


@pytest.mark.parametrize("kind", ["UNIDIRECTIONAL_SEQUENCE_LSTM", "SVDF", "WHILE", "CALL", "CUSTOM"])
def test_what_cannot_be_counted_is_not_counted_as_nothing(tiny_artifacts: dict[str, Path], kind: str) -> None:
    def replace_mean(model: Any) -> None:
        (code,) = (code for code in model.operatorCodes if code.builtinCode == schema.BuiltinOperator.MEAN)
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, kind)
        code.customCode = "Recurrent" if kind == "CUSTOM" else None
        (operator,) = (operator for operator in model.subgraphs[0].operators if model.operatorCodes[operator.opcodeIndex] is code)
        operator.builtinOptionsType, operator.builtinOptions = 0, None

    found = audit(changed(tiny_artifacts["tflite-int8"].read_bytes(), replace_mean))
    assert [operator.macs is None for operator in found.operators] == [False, True, False]
    assert (found.macs, found.int8_macs_share) == (None, None)


@pytest.mark.parametrize(("module", "said"), [("onnxruntime", "onnxruntime is not installed"), ("google.protobuf", "needs google")])
def test_what_is_not_installed_is_no_damage_of_the_file(tiny_artifacts: dict[str, Path], module: str, said: str) -> None:
    program = (
        f"import sys; sys.modules[{module!r}] = None; from edgeproof.cli import main; sys.exit(main(['check', {str(tiny_artifacts['onnx-int8'])!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert said in done.stderr
    assert "pip install 'edgeproof[check]'" in done.stderr


def test_onnx_runtime_leaves_nothing_in_the_users_cache(tmp_path: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if name not in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")}
    program = "import export, onnxruntime; print(onnxruntime.__version__)"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, env={**clean, "HOME": str(tmp_path)})
    assert list(tmp_path.iterdir()) == []


def test_metadata_is_read_from_both_kinds_of_file_and_damage_is_an_input_error(tiny_artifacts: dict[str, Path]) -> None:
    assert {found.format for path in tiny_artifacts.values() if (found := embedded(path.read_bytes()))} == set(tiny_artifacts)
    with pytest.raises(InputError, match="damaged"):
        embedded(tiny_artifacts["onnx-int8"].read_bytes()[:500])
