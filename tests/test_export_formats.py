"""Formats by family and kind; calibration images; metadata inside the artifact."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_runtime.errors import EdgeproofError, InputError
from edge_runtime.metadata import ModelMetadata
from edge_runtime.preprocess import Preprocessing
from export.calibration import Calibration
from export.embed import embed_onnx, embed_tflite
from export.formats import FORMATS, choose_formats


def _names(family: str, *kinds: str) -> list[str]:
    return [format.name for format in choose_formats(family, kinds)]


def test_formats_are_chosen_by_family_and_kind() -> None:
    assert _names("all") == [name for name in FORMATS if name != "tflite-mixed"]
    assert _names("tflite", "mixed") == ["tflite-mixed"]
    assert _names("tflite") == ["tflite-float32", "tflite-int8"]
    assert _names("all", "int8") == ["tflite-int8", "onnx-int8"]
    with pytest.raises(InputError, match="Did you mean 'onnx'"):
        choose_formats("onx")
    with pytest.raises(InputError, match="no onnx format 'float16'"):
        choose_formats("onnx", ["float16"])


def test_calibration_images_must_not_be_validation_images() -> None:
    images = np.arange(40, dtype=np.uint8).reshape(10, 2, 2, 1)
    chosen = Calibration.choose(images, np.array([1, 4]), np.array([2, 3]))
    assert np.array_equal(chosen.images, images[[1, 4]])
    assert chosen.normalized(Preprocessing(2, 2, 1)).max() <= 1.0
    with pytest.raises(EdgeproofError, match="overlap"):
        Calibration.choose(images, np.array([1, 4]), np.array([4, 5]))


@pytest.mark.parametrize("format", _names("all"))
def test_embedding_twice_gives_the_same_bytes(format: str, tiny_artifacts: dict[str, Path]) -> None:
    metadata = ModelMetadata("tiny", format, ("a", "b", "c"), Preprocessing(8, 8, 1), lineage={"baseline": "0" * 64})
    embed = embed_tflite if format.startswith("tflite") else embed_onnx
    model = tiny_artifacts[format].read_bytes()
    if format.startswith("tflite"):
        model = model[: model.rindex(b"PK\x03\x04")]  # the flatbuffer alone
    assert embed(model, metadata) == embed(model, metadata)
