"""A stranger's model (32×32×3, three classes, pictures in folders) goes through every stage."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np

from edge_runtime.metadata import read_tflite_metadata
from tests.pipelines import Run, run
from tests.twin import CLASSES


def test_it_goes_through_every_stage_and_passes(twin_run: Run) -> None:
    assert twin_run.code == 0, twin_run.stdout + twin_run.stderr
    parity = twin_run.json("parity.json")
    assert {row["verdict"] for row in parity["rows"]} == {"PASS"}
    assert len(parity["rows"]) == 2 * 2 * 3 + 2, "TFLite formats × runtimes × kernels, and ONNX"
    assert parity["baseline"]["accuracy"] > 0.9
    assert "Ship stranger-tflite-int8.tflite" in twin_run.stdout


def test_it_keeps_names_shape_pixel_range_and_softmax_of_its_owner(twin_run: Run) -> None:
    metadata = read_tflite_metadata((twin_run.workspace / "artifacts/stranger-tflite-int8.tflite").read_bytes())
    assert metadata is not None
    assert metadata.class_names == CLASSES
    assert metadata.preprocessing.shape == (32, 32, 3)
    assert (metadata.preprocessing.scale, metadata.preprocessing.offset) == (1.0, 0.0), "its own Rescaling takes 0..255"
    assert metadata.output == "probabilities"
    audit = twin_run.json("artifacts/manifest.json")["artifacts"]["stranger-tflite-int8.tflite"]["audit"]
    assert audit["float_islands"] == []
    assert "SOFTMAX v2" in audit["operators"]


def test_no_batch_norm_nor_rescaling_is_left(twin_run: Run) -> None:
    steps = " ".join(twin_run.json("qat.json")["fold_steps"])
    assert steps.count("folded") == 3
    assert twin_run.json("qat.json")["fold_difference"] <= 1e-4


def test_probabilities_of_the_export_are_those_of_the_baseline(twin_run: Run) -> None:
    for row in twin_run.json("parity.json")["rows"]:
        if row["format"].endswith("float32"):
            assert row["max_abs_probability_error"] < 1e-3


def test_it_names_what_is_on_a_picture(twin_run: Run, twin_folder: Path) -> None:
    pictures = [str(next((twin_folder / "pictures" / name).glob("*.png"))) for name in CLASSES]
    answer = run("predict", *pictures, "--json", "-w", "w", cwd=twin_folder)
    assert [entry["label"] for entry in json.loads(answer.stdout)["predictions"]] == list(CLASSES)


def test_too_few_images_are_inconclusive_and_say_so_beforehand(twin_run: Run, twin_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(twin_run.workspace, tmp_path / "w")
    done = run("parity", "-w", "w", cwd=tmp_path)
    verdicts = {row["verdict"] for row in json.loads((tmp_path / "w/parity.json").read_text())["rows"]}
    assert "INCONCLUSIVE" in verdicts
    assert done.code == (1 if "FAIL" in verdicts else 3), "a fine-tuning that lost answers may fail it"
    assert done.stderr.index("cannot certify") < done.stderr.index("Parity on local")


def test_export_in_an_empty_folder_just_works(twin_folder: Path, tmp_path: Path) -> None:
    arguments = ("--model", twin_folder / "stranger.keras", "--data", twin_folder / "pictures")
    done = run("export", "tflite", "--int8", "--logits", *arguments, cwd=tmp_path)
    assert done.code == 0, done.stderr
    metadata = read_tflite_metadata((tmp_path / "runs/default/artifacts/stranger-tflite-int8.tflite").read_bytes())
    assert metadata is not None
    assert metadata.output == "logits"


def test_validation_pictures_are_kept_as_they_were_decoded(twin_run: Run) -> None:
    with np.load(twin_run.workspace / "validation.npz") as validation:
        assert validation["images"].shape == (252, 32, 32, 3)
        assert validation["images"].dtype == np.uint8


def test_the_python_interface_runs_beside_a_train_module_of_the_users_own(twin_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("raise RuntimeError('the wrong train')")
    program = (
        "import edgeproof\n"
        f"stranger = {{'model': {str(twin_folder / 'stranger.h5')!r}, 'data': {str(twin_folder / 'pictures')!r}}}\n"
        "result = edgeproof.run('w', **stranger, epochs=1, max_drop=4, seconds=0.2)\n"
        "print(result.verdict, result.ship_path, len(result.rows))\n"
        "try:\n"
        "    edgeproof.run('w', recipe='compct')\n"
        "except edgeproof.EdgeproofError as error:\n"
        "    print(error)\n"
    )
    done = run("-c", program, cwd=tmp_path, command=(sys.executable,))
    assert done.code == 0, done.stderr
    assert done.stdout.splitlines() == ["PASS w/artifacts/stranger-tflite-int8.tflite 6", "Unknown recipe 'compct'. Did you mean 'compact'?"]
