"""A `.tflite` that was cut short is told from a whole one without an interpreter."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.errors import UnsupportedModelError
from edge_runtime.flatbuffer import check_whole
from tests.foreign import tflite_without_metadata

FORMATS = ("tflite-float32", "tflite-float16", "tflite-dynamic", "tflite-int8", "tflite-int16x8")
_LAST = 16  # of the bytes at the end, some hold what an operator's options are: nothing that this check follows


@pytest.mark.parametrize("format", FORMATS)
def test_every_cut_is_found_and_a_whole_file_is_let_through(tiny_artifacts: dict[str, Path], format: str) -> None:
    check_whole(tiny_artifacts[format].read_bytes(), "whole")
    model = tflite_without_metadata(tiny_artifacts[format])
    check_whole(model, "whole")
    for length in range(8, len(model) - _LAST):
        with pytest.raises(UnsupportedModelError, match=f"m.tflite is cut short or damaged: parts of the model lie beyond its {length:,} bytes"):
            check_whole(model[:length], "m.tflite")


def test_damage_within_gives_a_sentence_or_nothing(tiny_artifacts: dict[str, Path]) -> None:
    model, dice, refused = tflite_without_metadata(tiny_artifacts["tflite-int8"]), random.Random(0), 0
    for _ in range(3000):
        damaged = bytearray(model)
        damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        try:
            check_whole(bytes(damaged), "m.tflite")
        except UnsupportedModelError:
            refused += 1
    assert 0 < refused < 3000, "any other error ends this test"


def test_the_device_says_it_in_one_line(tiny_artifacts: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "half.tflite").write_bytes(tiny_artifacts["tflite-int8"].read_bytes()[:1300])
    np.save(tmp_path / "image.npy", np.zeros((1, 8, 8, 1), np.uint8))
    command = [sys.executable, "-m", "edge_runtime", "classify", "--model", "half.tflite", "--runtime", "tflite-runtime", "image.npy"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: half.tflite is cut short or damaged: parts of the model lie beyond its 1,300 bytes. Copy it again.\n"
