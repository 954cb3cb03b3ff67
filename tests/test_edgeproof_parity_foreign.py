"""Exports that edgeproof did not make, judged in a folder that holds nothing else, without TensorFlow."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.outputs import from_arrays
from edge_runtime.classifier import Classifier
from edge_runtime.preprocess import Preprocessing
from tests import foreign
from tests.pipelines import Run, run

PARITY = ("parity", "--data", "held-out.npz", "--max-drop", "5", "--kernels", "default")


@pytest.fixture(scope="module")
def brought(tiny_artifacts: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return foreign.bring(tmp_path_factory.mktemp("brought"), tiny_artifacts)


@pytest.fixture
def folder(brought: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stranger's folder, on a machine with nothing but edgeproof[check]."""
    foreign.block(monkeypatch, tmp_path, *foreign.NOT_IN_CHECK)
    shutil.copytree(brought, tmp_path / "here")
    return tmp_path / "here"


def _json(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text()))


def _row(folder: Path, artifact: str, runtime: str) -> dict[str, Any]:
    rows = [row for row in _json(folder / "runs/default/parity.json")["rows"] if (row["artifact"], row["runtime"]) == (artifact, runtime)]
    assert len(rows) == 1
    return dict(rows[0])


def _refused(folder: Path, *arguments: str | Path, because: str) -> None:
    before = sorted(folder.rglob("*"))
    done = run(*arguments, cwd=folder)
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert (done.code, len(errors)) == (2, 1), done.stderr
    assert because in errors[0]
    assert "Traceback" not in done.stderr
    assert sorted(folder.rglob("*")) == before, "nothing written"


def test_a_tflite_baseline_and_two_exports_in_an_empty_folder(folder: Path) -> None:
    done = run(*PARITY, "--baseline", "float.tflite", "--export", "small.tflite", "first.onnx", cwd=folder)
    assert done.code == 0, done.stderr
    parity = _json(folder / "runs/default/parity.json")
    assert {(row["artifact"], row["format"], row["verdict"], row["gates"]) for row in parity["rows"]} == {
        ("small.tflite", "tflite-int8", "PASS", True),
        ("first.onnx", "onnx-float32", "PASS", True),
    }
    assert parity["baseline"]["images"] == 600, "all images of --data are judged"
    assert 0.9 < parity["baseline"]["accuracy"] < 1
    same = _row(folder, "first.onnx", "onnxruntime")
    assert same["agreement"] == 1, "channels first, the same network"
    assert same["max_abs_probability_error"] < 1e-5, "its outputs were taken for the logits that they are"
    assert {"parity.md", "parity.junit.xml", "outputs"} <= {path.name for path in (folder / "runs/default").iterdir()}
    assert "small.tflite does not say what it takes: assumed pixel × 0.003922 + 0 in NHWC, logits out" in done.stderr
    assert "in NCHW" in done.stderr

    # What was assumed of a file goes along to every other command.
    timed = run("bench", "--seconds", "0.01", "--json", cwd=folder)
    assert timed.code == 0, timed.stderr
    assert {row["artifact"] for row in json.loads(timed.stdout)["rows"]} == {"small.tflite", "first.onnx"}
    with np.load(folder / "held-out.npz") as data:
        np.save(folder / "one.npy", data["images"][1])
        label = "abc"[data["labels"][1]]
    answer = run("predict", "one.npy", "--json", cwd=folder)
    assert json.loads(answer.stdout)["predictions"][0]["label"] == label


def test_an_onnx_baseline_and_a_damaged_export(folder: Path) -> None:
    done = run(*PARITY, "--baseline", "first.onnx", "--export", "damaged.tflite", "--export", "float.tflite", cwd=folder)
    assert done.code == 1, done.stderr
    assert _row(folder, "damaged.tflite", "ai-edge-litert")["verdict"] == "FAIL"
    assert _row(folder, "float.tflite", "ai-edge-litert")["verdict"] == "PASS"
    names = {facts["format"] for facts in _json(folder / "runs/default/artifacts/manifest.json")["artifacts"].values()}
    assert names == {"tflite-float32 (damaged)", "tflite-float32 (float)"}, "reports name rows by format"

    again = run(*PARITY, "--baseline", "first.onnx", "--export", "small.tflite", cwd=folder)
    assert again.code == 0, again.stderr
    assert sorted(path.name for path in (folder / "runs/default/artifacts").iterdir()) == ["manifest.json", "small.tflite"], "replaced"
    _refused(folder, *PARITY, "--baseline", "float.tflite", "--export", "small.tflite", because="already holds first, made from something else")

    (folder / "runs/default/artifacts/small.tflite").write_bytes(b"")
    _refused(folder, "bench", because="is not the file that was exported (its sha256 differs from the manifest): run `edgeproof parity --baseline …")


def test_what_a_runtime_refuses_gates_where_that_runtime_was_asked_for(folder: Path) -> None:
    (folder / "new.tflite").write_bytes(foreign.with_operator_version((folder / "float.tflite").read_bytes(), "FULLY_CONNECTED", 12))
    given = (*PARITY, "--baseline", "float.tflite", "--export", "new.tflite")
    done = run(*given, cwd=folder)
    assert done.code == 0, done.stderr
    row = _row(folder, "new.tflite", "tflite-runtime")
    assert (row["verdict"], row["gates"]) == ("UNSUPPORTED", False)
    assert "'12'" in row["reason"], "as the runtime says it"
    assert "FULLY_CONNECTED v12 (it has up to v" in row["reason"]
    assert "remedy: run it on ai-edge-litert" in row["reason"]
    assert _row(folder, "new.tflite", "ai-edge-litert")["verdict"] == "PASS"

    required = run(*given, "--runtime", "tflite-runtime", "--runtime", "ai-edge-litert", cwd=folder)
    assert required.code == 1, required.stderr
    assert _row(folder, "new.tflite", "tflite-runtime")["gates"]
    _refused(folder, *given, "--runtime", "tflite", "-w", "w", because="Unknown runtime")
    _refused(folder, *given, "first.onnx", "--runtime", "tflite-runtime", "-w", "w", because="first.onnx would not be judged on tflite-runtime: name")


def test_what_no_runtime_loads_does_not_pass_unseen(folder: Path) -> None:
    (folder / "new.tflite").write_bytes(foreign.with_operator_version((folder / "float.tflite").read_bytes(), "FULLY_CONNECTED", 99))
    done = run(*PARITY, "--baseline", "float.tflite", "--export", "new.tflite", "small.tflite", cwd=folder)
    assert done.code == 1, done.stderr
    assert _row(folder, "new.tflite", "ai-edge-litert")["gates"]


def test_metadata_of_a_file_wins_over_what_is_assumed(folder: Path, tiny_artifacts: dict[str, Path]) -> None:
    shutil.copy(tiny_artifacts["tflite-int8-ptq"], folder / "ours.tflite")
    arguments = (*PARITY, "--baseline", "float.tflite", "--export", "ours.tflite")
    _refused(folder, *arguments, "--preprocess", "raw", because="ours.tflite says itself that it takes pixel × 0.003922 + 0: leave out")
    assert run(*arguments, cwd=folder).code == 0
    facts = _json(folder / "runs/default/artifacts/manifest.json")["artifacts"]["ours.tflite"]
    assert (facts["format"], facts["assume"]) == ("tflite-int8-ptq", None)


def test_bytes_are_said_to_be_taken_as_they_are(folder: Path, tiny_artifacts: dict[str, Path]) -> None:
    (folder / "bytes.onnx").write_bytes(foreign.onnx_of_bytes(tiny_artifacts["onnx-float32"]))
    done = run(*PARITY, "--baseline", "float.tflite", "--export", "bytes.onnx", "--preprocess", "unit", cwd=folder)
    assert done.code == 0, done.stderr
    assert "bytes.onnx takes pixels as they are, in NHWC: assumed logits out." in done.stderr
    assert _row(folder, "bytes.onnx", "onnxruntime")["max_abs_probability_error"] < 1e-5, "it scales by itself"


def test_a_few_held_out_images_of_a_class_or_none_are_enough_to_judge(folder: Path) -> None:
    with np.load(folder / "held-out.npz") as data:
        images, labels = data["images"], data["labels"]
    kept = np.concatenate([np.flatnonzero(labels == 0)[:30], np.flatnonzero(labels == 2)[:4]])
    foreign.save_held_out(folder / "few.npz", images[kept], labels[kept])
    given = ("--export", "small.tflite", "--data", "few.npz", "--kernels", "default")
    done = run("parity", "--baseline", "float.tflite", *given, "--max-drop", "5", "--freeze", "frozen.npz", cwd=folder)
    assert done.code == 3, done.stderr
    assert _json(folder / "runs/default/dataset.json")["label_counts"] == [30, 0, 4]
    assert {row["class"] for row in _json(folder / "runs/default/parity.json")["per_class"]} == {0, 2}
    assert run("dashboard", cwd=folder).code == 0
    assert run("parity", "--baseline", "frozen.npz", *given, "-w", "w", cwd=folder).code == 3


def test_a_wrong_pixel_range_is_found_out(folder: Path) -> None:
    """The baseline says what it takes (it was frozen so), the export is fed what it was not made for."""
    assert run(*PARITY, "--baseline", "float.tflite", "--export", "small.tflite", "--freeze", "frozen.npz", "-w", "a", cwd=folder).code == 0
    done = run(*PARITY, "--baseline", "frozen.npz", "--export", "small.tflite", "--preprocess", "raw", "-w", "b", cwd=folder)
    assert done.code == 1, done.stderr
    assert _json(folder / "b/artifacts/manifest.json")["artifacts"]["small.tflite"]["assume"]["preprocessing"]["scale"] == 1


def test_bad_usage_gets_one_line(folder: Path) -> None:
    to = ("--baseline", "float.tflite", "--export")
    (folder / "a").mkdir()
    shutil.copy(folder / "small.tflite", folder / "a/small.tflite")
    shutil.copy(folder / "small.tflite", folder / "small.onnx")
    (folder / "cut.tflite").write_bytes((folder / "small.tflite").read_bytes()[:900])
    (folder / "noise.onnx").write_bytes(b"\x08\x08" + np.random.default_rng(0).bytes(900))
    _refused(folder, "parity", "--export", "small.tflite", because="--export only means something with --baseline")
    _refused(folder, "parity", "--baseline", "float.tflite", because="--baseline needs --export")
    _refused(folder, "parity", *to, "small.tflite", because="and --data SRC")
    _refused(folder, "parity", "small.tflite", because="named with --export")
    _refused(folder, *PARITY[:3], *to, "small.tflite", "--rejudge", because="--rejudge and --baseline exclude each other")
    _refused(folder, *PARITY, *to, "none.tflite", because="Cannot read model none.tflite")
    _refused(folder, *PARITY, *to, "cut.tflite", because="cut.tflite: A damaged .tflite file")
    _refused(folder, *PARITY, *to, "noise.onnx", because="noise.onnx: ")
    _refused(folder, *PARITY, *to, "small.onnx", because="small.onnx is a .tflite file by its content")
    _refused(folder, *PARITY, *to, "small.tflite", "a/small.tflite", because="2 exports are called small.tflite")
    _refused(folder, *PARITY, "--baseline", "one.pb", "--export", "small.tflite", because="Cannot take one.pb as the baseline")
    _refused(folder, *PARITY, "--baseline", "none.npz", "--export", "small.tflite", because="No such baseline: none.npz")
    _refused(folder, *PARITY, *to, "small.tflite", "--preprocess", "unti", because="Did you mean 'unit'?")


def test_a_folder_with_files_of_the_users_own_is_left_alone(folder: Path) -> None:
    for name in ("artifacts/two.tflite", "figures/mine.txt", "baseline.keras"):
        here = folder / name.split("/")[0].split(".")[0]
        (here / name).parent.mkdir(parents=True)
        shutil.copy(folder / "small.tflite", here / name)
        place = here.name
        _refused(folder, *PARITY, "--baseline", "float.tflite", "--export", "small.tflite", "-w", place, because=f"{name.split('/')[0]} is not")
    shutil.copy(folder / "held-out.npz", folder / "validation.npz")
    given = ("--baseline", "float.tflite", "--export", "small.tflite", "--data", "validation.npz", "-w", ".")
    _refused(folder, "parity", *given, because="validation.npz is not edgeproof's, and would be replaced: choose another folder with -w")


def test_what_is_judged_cannot_lie_where_the_workspace_keeps_its_own(folder: Path) -> None:
    assert run(*PARITY, "--baseline", "float.tflite", "--export", "small.tflite", "-w", "w", cwd=folder).code == 0
    shutil.copy(folder / "float.tflite", folder / "w/artifacts/float.tflite")
    _refused(
        folder, *PARITY, "--baseline", "w/artifacts/float.tflite", "--export", "small.tflite", "-w", "w", because="w/artifacts/float.tflite lies"
    )
    _refused(
        folder, *PARITY, "--baseline", "float.tflite", "--export", "w/artifacts/small.tflite", "-w", "w", because="w/artifacts/small.tflite lies"
    )
    given = ("--baseline", "float.tflite", "--export", "small.tflite", "--data", "w/validation.npz", "-w", "w")
    _refused(folder, "parity", *given, because="w/validation.npz lies where w keeps its own")
    mistyped = ("--baseline", "flaot.tflite", "--export", "small.tflite", "-w", "w")
    _refused(folder, *PARITY, *mistyped, because="No such baseline: flaot.tflite")


def test_data_and_files_that_do_not_fit_each_other(folder: Path) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    np.savez(folder / "two.npz", images=rng.integers(0, 256, (60, 8, 8, 1), np.uint8), labels=labels)
    np.savez(folder / "wide.npz", images=rng.integers(0, 256, (60, 8, 9, 1), np.uint8), labels=np.arange(60) % 3)
    (folder / "table.csv").write_text("label,pixel0\n")
    to = ("--baseline", "float.tflite", "--export", "small.tflite")
    _refused(folder, "parity", "--data", "two.npz", *to, because="float.tflite tells 3 classes apart, the data has 2")
    _refused(folder, "parity", "--data", "wide.npz", *to, because="images are 8×9×1, the model takes 8×8×1")
    _refused(folder, "parity", "--data", "table.csv", *to, because="needs pandas, which is not installed: pip install 'edgeproof[toolkit]'")


def test_a_keras_baseline_tells_its_own_pixel_range(twin_run: Run, twin_folder: Path, tmp_path: Path) -> None:
    export = tmp_path / "converted.tflite"
    export.write_bytes(foreign.tflite_without_metadata(twin_run.workspace / "artifacts/stranger-tflite-float32.tflite"))
    data = ("--data", twin_folder / "pictures", "--max-drop", "4", "--kernels", "default")
    done = run("parity", "--baseline", twin_folder / "stranger.keras", "--export", export, *data, cwd=tmp_path)
    assert done.code == 0, done.stderr
    row = _row(tmp_path, "converted.tflite", "ai-edge-litert")
    assert row["images"] == 1260
    assert row["max_abs_probability_error"] < 1e-3, "its own Rescaling takes 0..255, and it answers with probabilities"
    assume = _json(tmp_path / "runs/default/artifacts/manifest.json")["artifacts"]["converted.tflite"]["assume"]
    assert (assume["preprocessing"]["scale"], assume["output"], assume["class_names"]) == (1, "probabilities", ["nought", "one", "two"])
    _refused(
        tmp_path, "parity", "-w", twin_run.workspace, "--baseline", twin_folder / "stranger.h5", "--export", export, *data, because="already holds"
    )


def test_the_layer_that_a_strangers_export_loses_its_answers_in_is_named(tmp_path: Path) -> None:
    foreign.bring_keras(tmp_path)
    damaged = ("first", "second", "head")
    exports = ("--export", "good.tflite", *(f"{name}.tflite" for name in damaged))
    done = run(*PARITY, "--baseline", "net.h5", *exports, "--kernels", "default", cwd=tmp_path)
    assert done.code == 1, done.stderr
    parity = _json(tmp_path / "runs/default/parity.json")
    assert [row["verdict"] for row in parity["rows"]] == ["PASS"] * 2 + ["FAIL"] * 6, "each on both runtimes"
    assert [(suspect["hop"], suspect["layer"]) for suspect in parity["suspects"]] == [
        ({"from": "baseline", "to": f"{name}.tflite"}, name) for name in damaged for _ in range(2)
    ]
    clean = [[(line["layer"], line["snr_db"] > 80) for line in parity["layers"] if line["row"] == row] for row in (6, 7)]
    before = [(name, True) for name in ("input", "first", "second", "norm2", "flat")]
    assert clean == [[*before, ("head", False)]] * 2, "also where tflite-runtime multiplies in place, over what second wrote"
    assert "lost between baseline and tflite-float32 (second), where second falls from" in parity["rows"][4]["reason"]


def test_channels_first_are_fed_channels_first(tmp_path: Path) -> None:
    import onnx
    from onnx import helper

    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in (("in", ["batch", 3, 4, 6]), ("out", ["batch", 3]))]
    nodes = [helper.make_node("GlobalAveragePool", ["in"], ["mean"]), helper.make_node("Flatten", ["mean"], ["out"])]
    graph = helper.make_graph(nodes, "brightest", ends[:1], ends[1:])
    content = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    images = np.random.default_rng(0).integers(0, 256, (9, 4, 6, 3), np.uint8)
    assume = {"preprocessing": Preprocessing.of_input((1, 3, 4, 6), "raw").to_dict(), "class_names": ["r", "g", "b"], "output": "logits"}
    answer = Classifier.load(content, "onnxruntime", assume=assume).predict(images)
    assert answer.names == ("r", "g", "b")
    np.testing.assert_allclose(answer.outputs, images.mean(axis=(1, 2)), rtol=1e-5)


def test_saved_outputs_say_how_to_read_them(folder: Path) -> None:
    assert run(*PARITY, "--baseline", "float.tflite", "--export", "small.tflite", cwd=folder).code == 0
    with np.load(folder / "runs/default/outputs/small.tflite-ai-edge-litert-default-local.npz") as arrays:
        saved = from_arrays(dict(arrays))
    assert saved.answered.dtype == np.int8
    np.testing.assert_allclose(saved.probabilities.sum(axis=1), 1, rtol=1e-5)
