"""`edgeproof export` on a model that the int8 quantizer refuses: what can be made is made, the rest are rows with their reasons."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.golden import GoldenVectors
from export.calibration import Saturation
from tests.pipelines import Run, run

_MODEL = """
import numpy as np, tf_keras
tf_keras.utils.set_random_seed(0)
layers = tf_keras.layers
model = tf_keras.Sequential([
    layers.Input((8, 8, 1)), layers.Conv2D(4, 3, name="edges"), layers.PReLU(shared_axes=[1, 2], name="bend"),
    layers.GlobalAveragePooling2D(), layers.Dense(3, activation="softmax"),
])
model.save("bent.h5")
rng = np.random.default_rng(0)
labels = np.repeat(np.arange(3), 60)
images = (rng.integers(0, 80, (180, 8, 8, 1)) + 80 * labels[:, None, None, None]).clip(0, 255).astype("uint8")
np.savez("shades.npz", images=images, labels=labels)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bent")
    done = subprocess.run([sys.executable, "-c", "import os; os.environ['TF_USE_LEGACY_KERAS'] = '1'\n" + _MODEL], cwd=folder, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return folder


@pytest.fixture(scope="module")
def bent(folder: Path) -> Run:
    return run("export", "all", "--model", "bent.h5", "--data", "shades.npz", "-w", "w", cwd=folder, workspace=folder / "w")


def test_formats_that_need_the_quantizer_fail_alone_and_say_which_layer(bent: Run) -> None:
    assert (bent.code, "Traceback" in bent.stderr) == (1, False)
    manifest = bent.json("artifacts/manifest.json")
    assert set(manifest["failed"]) == {"tflite-int8", "onnx-int8", "tflite-int16x8"}
    assert all("bend (PReLU): use ReLU" in manifest["failed"][format] for format in ("tflite-int8", "onnx-int8"))
    assert "PRELU" in manifest["failed"]["tflite-int16x8"]  # another reason: no runtime has it in int16
    made = {facts["format"] for facts in manifest["artifacts"].values()}
    assert {"tflite-float32", "tflite-float16", "tflite-dynamic", "onnx-float32"} <= made
    assert "tflite-int8 failed: 1 layer(s) cannot be quantized: bend (PReLU)" in bent.stdout


def test_every_artifact_has_golden_vectors_and_was_tried_on_what_it_claims(bent: Run) -> None:
    manifest = bent.json("artifacts/manifest.json")
    golden = GoldenVectors.load(bent.workspace / "artifacts" / manifest["golden"]["file"])
    assert set(golden.outputs) == set(manifest["artifacts"])
    for name, facts in manifest["artifacts"].items():
        assert facts["tried"] == facts["runtimes"]
        tried = {place.split("/")[0] for place in golden.tolerance[name]}
        assert tried == set(facts["runtimes"])
        assert {f"{facts['runtimes'][0]}/default"} <= set(golden.tolerance[name])


def test_the_quick_way_trains_nothing(bent: Run, folder: Path) -> None:
    quick = run("export", "tflite", "--int8-ptq", "--model", "bent.h5", "--data", "shades.npz", "-w", "quick", cwd=folder, workspace=folder / "quick")
    assert quick.code == 0, quick.stderr
    assert not (quick.workspace / "qat.h5").exists()
    (facts,) = quick.json("artifacts/manifest.json")["artifacts"].values()
    assert (facts["format"], facts["audit"]["int8_macs_share"], facts["audit"]["input_dtype"]) == ("tflite-int8-ptq", 1.0, "int8")


def test_saturation_counts_what_the_ranges_clip_and_names_the_worst_layer() -> None:
    values = {"a": np.array([0.0, 0.5, 1.0, 1.001]), "b": np.array([-3.0, 0.0, 9.0, 9.0]), "c": np.array([100.0])}
    saturation = Saturation.of(values, {"a": (0.0, 1.0), "b": (-1.0, 4.0)})  # c passes the range of its input on
    assert (saturation.share, saturation.worst_layer, saturation.worst_share) == (3 / 8, "b", 0.75)
