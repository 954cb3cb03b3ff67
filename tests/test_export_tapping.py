"""The tapped copy computes the same and gives out what its operators write, with what the integers mean; it needs no onnx package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from export.tapping import tap_onnx

WITHOUT_ONNX = """
import sys
sys.modules["onnx"] = None
from pathlib import Path
from export.tapping import tap_onnx
Path(sys.argv[2]).write_bytes(tap_onnx(Path(sys.argv[1]).read_bytes())[0])
"""


def run(model: bytes, images: np.ndarray) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {session.get_inputs()[0].name: images}), strict=True))


@pytest.mark.parametrize("format", ["onnx-float32", "onnx-int8"])
def test_the_copy_answers_alike_and_gives_more(tiny_artifacts: dict[str, Path], format: str) -> None:
    model = tiny_artifacts[format].read_bytes()
    images = np.random.default_rng(0).random((1, 8, 8, 1), np.float32)
    answers, tapped = run(model, images), run(tap_onnx(model)[0], images)
    assert all(np.array_equal(tapped[name], answers[name]) for name in answers)
    assert len(tapped) >= len(answers) + 3


@pytest.mark.parametrize("raw", [True, False])
def test_integers_mean_what_their_quantizers_say(tiny_artifacts: dict[str, Path], raw: bool) -> None:
    model = onnx.load(str(tiny_artifacts["onnx-int8"]))
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for tensor in model.graph.initializer:  # the format has two ways to write a number down
        if not raw and constants[tensor.name].ndim == 0:
            tensor.CopyFrom(onnx.helper.make_tensor(tensor.name, tensor.data_type, (), [constants[tensor.name].item()]))
    content, meanings = tap_onnx(model.SerializeToString())
    added = {output.name for output in onnx.load_from_string(content).graph.output}
    quantizers = {node.output[0]: node.input[1:3] for node in model.graph.node if node.op_type == "QuantizeLinear" and node.output[0] in added}
    assert {name: (found.scale, found.zero_point, found.dtype) for name, found in meanings.items()} == {
        name: (constants[scale].item(), constants[zero].item(), constants[zero].dtype.name) for name, (scale, zero) in quantizers.items()
    }
    assert len(meanings) >= 3


def test_the_onnx_package_is_not_needed(tiny_artifacts: dict[str, Path], tmp_path: Path) -> None:
    source, copy = tiny_artifacts["onnx-int8"], tmp_path / "copy.onnx"
    subprocess.run([sys.executable, "-P", "-c", WITHOUT_ONNX, source, copy], check=True)
    assert copy.read_bytes() == tap_onnx(source.read_bytes())[0]
    onnx.checker.check_model(onnx.load(str(tiny_artifacts["onnx-int8"])))
