"""The tapped copy answers the same, and gives out what every operator wrote, which interpreters may otherwise write over."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_runtime.errors import UnsupportedModelError
from export.embed import embedded
from export.flatbuffer import packed, unpacked
from export.tapping_tflite import tap_tflite
from tests.foreign import tflite_without_metadata
from tests.test_edge_runtime_inspection import look_inside, predict


@pytest.mark.parametrize("runtime", ["ai-edge-litert", "tflite-runtime"])
@pytest.mark.parametrize("format", ["tflite-float32", "tflite-float16", "tflite-int8"])
def test_the_copy_answers_alike_and_keeps_its_metadata(
    tiny_artifacts: dict[str, Path], tiny_images: np.ndarray, tmp_path: Path, format: str, runtime: str
) -> None:
    model, copy = tiny_artifacts[format], tmp_path / "copy.tflite"
    copy.write_bytes(tap_tflite(model.read_bytes()))
    assert embedded(copy.read_bytes()) == embedded(model.read_bytes())
    message, tensors = look_inside(copy, tiny_images[:9], tmp_path, runtime)
    assert len(message["tensors"]) == 4, "what went in, the convolution, the mean, the answer"
    np.testing.assert_allclose(tensors[-1][:, 0], predict(model, tiny_images[:9], tmp_path, runtime), atol=1e-5)


def test_it_gives_out_what_depends_on_the_input_once_and_its_answer_first(tiny_artifacts: dict[str, Path]) -> None:
    graph = unpacked(tap_tflite(tiny_artifacts["tflite-float16"].read_bytes())).subgraphs[0]
    written = [int(operator.outputs[0]) for operator in graph.operators]
    unpacking = {int(operator.outputs[0]) for operator in graph.operators if operator.inputs[0] not in (*graph.inputs, *written)}
    assert unpacking, "float16 weights are made float32 by operators"
    assert sorted(graph.outputs) == sorted(set(written) - unpacking)
    assert graph.outputs[0] == written[-1]


def test_a_strangers_file_has_no_metadata_to_keep(tiny_artifacts: dict[str, Path]) -> None:
    assert embedded(tap_tflite(tflite_without_metadata(tiny_artifacts["tflite-int8"]))) is None


def test_what_cannot_be_copied_is_said_in_one_line(tiny_artifacts: dict[str, Path]) -> None:
    model = unpacked(tflite_without_metadata(tiny_artifacts["tflite-int8"]))
    model.subgraphs = []
    with pytest.raises(UnsupportedModelError, match="cannot be looked into"):
        tap_tflite(packed(model))
