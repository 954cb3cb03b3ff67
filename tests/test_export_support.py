"""Which runtime loads a file: the table of operator versions is what the installed wheels do."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.interpreter import RUNTIMES
from export.audit import audit
from export.operator_versions import CUSTOM, MEASURED, NEWEST, OLDEST
from export.support import SYSTEMS, support, systems

_ASK = """
import importlib, json, sys
from tests.test_export_support import declaring
interpreter = importlib.import_module(sys.argv[1]).Interpreter

def loads(kind, version):
    try:
        interpreter(model_content=declaring(kind, version))
    except (ValueError, RuntimeError):
        return False
    return True

print(json.dumps([loads(kind, version) for kind, version in json.load(sys.stdin)]))
"""


def declaring(kind: str, version: int, custom: str | None = None) -> bytes:
    """A flatbuffer that declares one operator version; with a custom operator's name, a network of that operator."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model, graph, code = schema.ModelT(), schema.SubGraphT(), schema.OperatorCodeT()
    code.builtinCode, code.version, code.customCode = getattr(schema.BuiltinOperator, kind), version, custom
    code.deprecatedBuiltinCode = min(code.builtinCode, schema.BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES)
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [code], [graph], [schema.BufferT()]
    graph.tensors, graph.operators, graph.inputs, graph.outputs = [_tensor(schema, "in"), _tensor(schema, "out")], [], [0], [1]
    if custom:
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0], [1]
        graph.operators = [operator]
    builder = flatbuffers.Builder(512)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _tensor(schema: Any, name: str) -> Any:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type = name, [1, 4], schema.TensorType.FLOAT32
    return tensor


@pytest.mark.parametrize("runtime", MEASURED)
def test_the_table_says_what_the_installed_wheel_does(runtime: str) -> None:
    from ai_edge_litert.schema_py_generated import BuiltinOperator

    installed = importlib.metadata.version(runtime)
    if installed != MEASURED[runtime]:
        pytest.skip(f"{runtime} {installed} is installed, the table is of {MEASURED[runtime]}")
    kinds = [kind for kind, value in vars(BuiltinOperator).items() if isinstance(value, int)]
    newest = [(kind, NEWEST[runtime][kind]) for kind in kinds if kind in NEWEST[runtime] and NEWEST[runtime][kind]]
    beyond = [(kind, NEWEST[runtime].get(kind, 0) + 1) for kind in kinds]
    before = [(kind, oldest - 1) for kind, oldest in OLDEST.items()]
    asked = newest + beyond + before
    done = subprocess.run(
        [sys.executable, "-c", _ASK, RUNTIMES[runtime].module],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent.parent,
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    expected = [True] * len(newest) + [False] * (len(beyond) + len(before))
    wrong = [pair for pair, loads, should in zip(asked, answers, expected, strict=True) if loads != should]
    assert len(newest) > 150
    assert not wrong


def test_what_a_runtime_lacks_is_named_with_the_remedy() -> None:
    found = support(audit(declaring("FULLY_CONNECTED", 12)))
    assert found["ai-edge-litert"].loads
    assert not found["tflite-runtime"].loads
    assert found["tflite-runtime"].reason.startswith("FULLY_CONNECTED v12 (it has up to v10); remedy: run it on ai-edge-litert")
    nowhere = support(audit(declaring("ADD", 99)))
    assert [answer.loads for answer in nowhere.values()] == [False, False]
    assert all("ADD v99" in answer.reason and "convert it again" in answer.reason for answer in nowhere.values())
    assert "STABLEHLO_ADD v1 (it has none)" in support(audit(declaring("STABLEHLO_ADD", 1)))["tflite-runtime"].reason
    assert "BROADCAST_TO v1" in support(audit(declaring("BROADCAST_TO", 1)))["tflite-runtime"].reason


def test_operators_outside_the_standard_set_load_nowhere_unless_the_wheels_have_them() -> None:
    flex = support(audit(declaring("CUSTOM", 1, "FlexErf")))
    assert [(answer.loads, "FlexErf" in answer.reason, "SELECT_TF_OPS" in answer.reason) for answer in flex.values()] == [(False, True, True)] * 2
    own = audit(declaring("CUSTOM", 1, "Mine"))
    assert own.custom_operators == ["Mine"]
    assert "build an interpreter" in support(own)["ai-edge-litert"].reason
    for name in CUSTOM:
        assert all(answer.loads for answer in support(audit(declaring("CUSTOM", 1, name))).values())


@pytest.mark.parametrize("name", ["FlexErf", "Mine"])
def test_the_interpreter_agrees_about_operators_outside_the_standard_set(name: str) -> None:
    from ai_edge_litert.interpreter import Interpreter

    with pytest.raises(RuntimeError, match=f"Select TensorFlow op|{name}"):
        Interpreter(model_content=declaring("CUSTOM", 1, name)).allocate_tensors()


def test_a_system_needs_a_runtime_that_is_to_be_had_there_and_loads_the_file() -> None:
    everywhere = systems(support(audit(declaring("ADD", 1))))
    assert everywhere == {
        "bookworm": ("ai-edge-litert", "tflite-runtime"),
        "bookworm-32": ("tflite-runtime",),
        "trixie": ("ai-edge-litert",),
        "trixie-32": (),
        "zero": (),
    }
    new = systems(support(audit(declaring("FULLY_CONNECTED", 12))))
    assert {name for name, runtimes in new.items() if runtimes} == {"bookworm", "trixie"}
    assert {runtime for system in SYSTEMS.values() for runtime in system.runtimes} == set(RUNTIMES)


def test_onnx_files_are_for_onnx_runtime(tiny_artifacts: dict[str, Path]) -> None:
    found = support(audit(tiny_artifacts["onnx-int8"].read_bytes()))
    assert {runtime: answer.loads for runtime, answer in found.items()} == {"onnxruntime": True}
    assert systems(found)["bookworm-32"] == ()
