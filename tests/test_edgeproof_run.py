"""The main job on the real digits: what it prints, writes and proves."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from edge_runtime.interpreter import RUNTIMES
from edge_runtime.metadata import read_tflite_metadata
from export.formats import usual_formats
from tests.pipelines import Run, run

FILES = (
    "dataset.json", "validation.npz", "layers.npz", "baseline.keras", "training.json", "history.csv", "folded.keras",
    "folded.json", "qat.h5", "qat.json",
    "artifacts/manifest.json", "artifacts/compact.golden.npz", "parity.json", "parity.md", "parity.junit.xml", "dashboard.html",
    "figures/samples.png", "figures/label_counts.png", "figures/learning_curves.png", "figures/confusion_matrix.png",
)  # fmt: skip
PAIRS = {
    ("tflite-float32", "ai-edge-litert"), ("tflite-float32", "tflite-runtime"), ("tflite-int8", "ai-edge-litert"),
    ("tflite-int8", "tflite-runtime"), ("onnx-float32", "onnxruntime"), ("onnx-int8", "onnxruntime"),
}  # fmt: skip
LINES = {(format, runtime, kernels) for format, runtime in PAIRS for kernels in RUNTIMES[runtime].kernels}


def test_it_passes_and_leaves_every_file_of_the_workspace(digits_run: Run) -> None:
    assert digits_run.code == 0, digits_run.stderr
    assert [name for name in FILES if not (digits_run.workspace / name).exists()] == []
    assert len(list((digits_run.workspace / "outputs").glob("*.npz"))) == len(LINES)
    assert len(list((digits_run.workspace / "latency").glob("local-*.json"))) == 1
    assert list(digits_run.workspace.rglob(".*")) == [], "nothing half-written stays behind"


def test_it_ends_in_a_table_and_says_which_file_to_ship(digits_run: Run) -> None:
    for column in ("format", "size", "accuracy", "drop", "verdict", "p50", "p99", "ratio"):
        assert column in digits_run.stdout
    assert "Ship compact-tflite-int8.tflite" in digits_run.stdout
    assert "Next: edgeproof predict" in digits_run.stdout
    for stage in ("Training", "fine-tuning", "Exporting", "Parity", "Latency", "Dashboard"):
        assert stage in digits_run.stderr, "progress goes to stderr"


def test_every_artifact_passes_on_every_runtime_that_loads_it(digits_run: Run) -> None:
    parity = digits_run.json("parity.json")
    assert parity["verdict"] == "PASS"
    assert {(row["format"], row["runtime"], row["kernels"]) for row in parity["rows"]} == LINES
    for row in parity["rows"]:
        if row["kernels"] == "reference":  # an arbiter of the others, on the first images only
            assert (row["images"], row["gates"], row["target"]) == (1000, False, "local")
        else:
            assert (row["verdict"], row["images"], row["gates"], row["target"]) == ("PASS", 8400, True, "local")
            assert row["drop_upper_pp"] <= parity["margin_pp"]
    assert [hop["to"] for hop in parity["hops"][:2]] == ["folded", "qat"]


def test_the_parity_numbers_follow_from_the_saved_outputs(digits_run: Run) -> None:
    with np.load(digits_run.workspace / "validation.npz") as validation:
        labels, baseline = validation["labels"], validation["baseline_probabilities"].argmax(axis=1)
    for row in digits_run.json("parity.json")["rows"]:
        name = f"outputs/{row['artifact']}-{row['runtime']}-{row['kernels']}-local.npz"
        with np.load(digits_run.workspace / name) as outputs:
            export = outputs["raw"].argmax(axis=1)
        right, was_right = export == labels[: row["images"]], (baseline == labels)[: row["images"]]
        assert row["accuracy"] == pytest.approx(right.mean())
        assert row["broken"] == (was_right & ~right).sum()
        assert row["fixed"] == (~was_right & right).sum()


def test_int8_is_int8_and_small(digits_run: Run) -> None:
    artifacts = digits_run.json("artifacts/manifest.json")["artifacts"]
    assert {facts["format"] for facts in artifacts.values()} == {format.name for format in usual_formats()}
    tflite = artifacts["compact-tflite-int8.tflite"]
    assert tflite["bytes"] <= 30_000
    assert tflite["audit"]["int8_macs_share"] == 1.0
    assert (tflite["audit"]["input_dtype"], tflite["audit"]["output_dtype"]) == ("int8", "int8")
    for name in ("compact-tflite-int8.tflite", "compact-onnx-int8.onnx"):
        assert artifacts[name]["audit"]["float_islands"] == []
    assert artifacts["compact-tflite-float32.tflite"]["audit"]["int8_macs_share"] == 0.0


def test_the_artifact_carries_its_metadata_and_lineage(digits_run: Run) -> None:
    metadata = read_tflite_metadata((digits_run.workspace / "artifacts/compact-tflite-int8.tflite").read_bytes())
    assert metadata is not None
    assert metadata.class_names == tuple("0123456789")
    assert metadata.output == "logits"
    assert metadata.preprocessing.shape == (28, 28, 1)
    manifest = digits_run.json("artifacts/manifest.json")
    assert metadata.lineage["baseline"] == manifest["inputs"]["baseline_sha256"] == digits_run.json("training.json")["baseline_sha256"]
    assert metadata.lineage["qat"] == manifest["inputs"]["qat_sha256"]


def test_latency_is_measured_for_all_in_equal_rounds(digits_run: Run) -> None:
    (file,) = (digits_run.workspace / "latency").glob("local-*.json")
    rows = json.loads(file.read_text())["rows"]
    assert {(row["format"], row["runtime"]) for row in rows} == PAIRS
    assert len({len(row["blocks"]) for row in rows}) == 1
    for row in rows:
        assert sum(row["blocks"]) >= 1024
        assert min(row["blocks"]) >= 50
        assert row["load_ms"] > 0
        assert row["peak_memory_bytes"] > 10e6
    delegates = {(row["format"], row["runtime"]): row["delegate"] for row in rows}
    assert delegates["tflite-int8", "ai-edge-litert"] == "XNNPACK"
    assert delegates["tflite-int8", "tflite-runtime"] == "none", "tflite-runtime 2.14 has no int8 XNNPACK"


def test_junit_has_one_case_a_row(digits_run: Run) -> None:
    (suite,) = ElementTree.fromstring((digits_run.workspace / "parity.junit.xml").read_text())
    assert len(suite.findall("testcase")) == len(LINES)
    assert suite.get("failures") == "0"


def test_it_needs_at_most_3_gb(digits_run: Run) -> None:
    assert digits_run.peak_bytes <= 3e9


def test_predict_reads_a_picture_and_writes_a_kaggle_submission(digits_run: Run, tmp_path: Path) -> None:
    import pandas as pd
    from PIL import Image

    with np.load(digits_run.workspace / "validation.npz") as validation:
        images, labels = validation["images"][:300], validation["labels"][:300]
    Image.fromarray(images[0, :, :, 0]).save(tmp_path / "digit.png")
    pd.DataFrame(images.reshape(300, -1), columns=[f"pixel{index}" for index in range(784)]).to_csv(tmp_path / "test.csv", index=False)
    answer = run("predict", "digit.png", "--json", "-w", digits_run.workspace, cwd=tmp_path)
    assert json.loads(answer.stdout)["predictions"][0]["label"] == str(labels[0])
    kaggle = run("predict", "--kaggle", "test.csv", "--out", "submission.csv", "-w", digits_run.workspace, cwd=tmp_path)
    assert kaggle.code == 0, kaggle.stderr
    submission = pd.read_csv(tmp_path / "submission.csv")
    assert list(submission.columns) == ["ImageId", "Label"]
    assert list(submission["ImageId"]) == list(range(1, 301))
    assert (submission["Label"].to_numpy() == labels).mean() > 0.95
