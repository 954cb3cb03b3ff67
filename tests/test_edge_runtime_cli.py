from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_runtime.golden import GoldenVectors
from tests.foreign import tflite_without_metadata

# A process's ru_maxrss begins at the size of the one that forked it: a small launcher stands between, so that pytest's own is not counted.
MEASURED = """
import os, sys
child = os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[1:])
status, usage = os.wait4(child, 0)[1:]
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.fixture
def folder(tiny_images: np.ndarray, tmp_path: Path) -> Path:
    """Where the user stands: one picture, and the same pixels as an array."""
    Image.fromarray(tiny_images[0, ..., 0]).save(tmp_path / "photo.png")
    np.save(tmp_path / "photo.npy", tiny_images[0, ..., 0])
    return tmp_path


def edge_runtime(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "edge_runtime", *arguments], cwd=folder, capture_output=True, text=True)


def one_line_error(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    return line


@pytest.mark.parametrize("format", ["tflite-float32", "tflite-int8", "onnx-float32", "onnx-int8"])
def test_classify_names_what_is_on_the_picture(folder: Path, tiny_artifacts: dict[str, Path], format: str) -> None:
    done = edge_runtime(folder, "classify", "photo.png", "--model", tiny_artifacts[format])
    assert (done.returncode, done.stderr) == (0, "")
    name, answer = done.stdout.strip().split(": ")
    assert name == "photo.png"
    assert answer.split(" (")[0] in ("a", "b", "c")
    assert answer.endswith("%)")


@pytest.mark.parametrize(("format", "runtime"), [("tflite-int8", "tflite-runtime"), ("onnx-int8", "onnxruntime")])
def test_json_gives_one_object_a_picture_with_the_likeliest_first(folder: Path, tiny_artifacts: dict[str, Path], format: str, runtime: str) -> None:
    arguments = ("photo.png", "photo.npy", "--model", tiny_artifacts[format], "--json", "--top", "3", "--runtime", runtime)
    done = edge_runtime(folder, "classify", *arguments)
    png, npy = (json.loads(line) for line in done.stdout.splitlines())
    assert (png["image"], npy["image"], png["runtime"]) == ("photo.png", "photo.npy", runtime)
    assert (png["runtime_version"], png["kernels"], png["threads"]) == (importlib.metadata.version(runtime), "default", 1)
    assert png["top"] == npy["top"], "the same pixels, the same answer"
    assert sorted(entry["label"] for entry in png["top"]) == ["a", "b", "c"]
    shares = [entry["probability"] for entry in png["top"]]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1, abs=1e-5)


def test_what_a_file_does_not_say_is_said(folder: Path, tiny_artifacts: dict[str, Path]) -> None:
    (folder / "bare.tflite").write_bytes(tflite_without_metadata(tiny_artifacts["tflite-int8"]))
    done = edge_runtime(folder, "classify", "photo.png", "--model", "bare.tflite")
    assert (done.returncode, len(done.stderr.splitlines())) == (0, 1)
    assert "bare.tflite does not say how it takes pixels, nor what its classes are called: pixel / 255 and numbers assumed." in done.stderr
    assert edge_runtime(folder, "classify", "photo.png", "--model", tiny_artifacts["tflite-int8"]).stderr == ""


@pytest.mark.parametrize(("top", "shown"), [("1", 1), ("2", 2), ("99", 3)])
def test_top_shows_as_many_classes_as_there_are(folder: Path, tiny_artifacts: dict[str, Path], top: str, shown: int) -> None:
    done = edge_runtime(folder, "classify", "photo.npy", "--model", tiny_artifacts["onnx-int8"], "--top", top)
    assert done.stdout.count("%") == shown


def test_bad_input_is_one_line_and_exit_code_2(folder: Path, tiny_artifacts: dict[str, Path]) -> None:
    (folder / "noise.png").write_bytes(np.random.default_rng(0).bytes(500))
    model = tiny_artifacts["tflite-int8"]
    assert "No such image: none.png" in one_line_error(edge_runtime(folder, "classify", "none.png", "--model", model))
    assert "noise.png as a picture" in one_line_error(edge_runtime(folder, "classify", "noise.png", "--model", model))
    assert "none.tflite" in one_line_error(edge_runtime(folder, "classify", "photo.png", "--model", "none.tflite"))
    assert "neither" in one_line_error(edge_runtime(folder, "classify", "photo.png", "--model", "noise.png"))
    assert "at least 1" in one_line_error(edge_runtime(folder, "classify", "photo.png", "--model", model, "--threads", "0"))
    assert "--top to be at least 1, got -3" in one_line_error(edge_runtime(folder, "classify", "photo.png", "--model", model, "--top", "-3"))
    assert "'tflite-runtime'" in one_line_error(edge_runtime(folder, "classify", "photo.png", "--model", model, "--runtime", "tflite"))


def test_bad_usage_is_exit_code_2_and_says_what_is_missing(folder: Path) -> None:
    done = edge_runtime(folder, "classify", "photo.png")
    assert done.returncode == 2
    assert "--model" in done.stderr
    assert edge_runtime(folder).returncode == 2


def test_help_lists_the_commands_and_their_options(folder: Path) -> None:
    top, classify = edge_runtime(folder, "--help"), edge_runtime(folder, "classify", "--help")
    assert (top.returncode, classify.returncode) == (0, 0)
    assert all(command in top.stdout for command in ("classify", "selftest", "bench", "doctor", "serve", "job"))
    assert all(option in classify.stdout for option in ("--model", "--runtime", "--threads", "--top", "--json", "--explain", "--photo"))


def test_selftest_exits_0_on_the_golden_answers_and_1_on_others(
    folder: Path, tiny_artifacts: dict[str, Path], tiny_images: np.ndarray, tmp_path: Path
) -> None:
    from edge_runtime.classifier import Classifier

    model = tiny_artifacts["onnx-int8"]
    outputs = Classifier.load(model).predict(tiny_images).outputs
    for name, golden in (("right", outputs), ("wrong", outputs[::-1])):
        np.savez(tmp_path / name, **GoldenVectors.of(tiny_images, outputs.argmax(axis=1), {model.name: {"onnxruntime/default": golden}}).to_arrays())
    right, wrong = (edge_runtime(folder, "selftest", "--model", model, "--golden", golden) for golden in ("right.npz", "wrong.npz"))
    assert (right.returncode, right.stdout.split(":")[0]) == (0, "PASS")
    assert (wrong.returncode, wrong.stdout.split(":")[0]) == (1, "FAIL")
    assert "near ties" not in right.stdout + wrong.stdout


def test_selftest_says_why_labels_that_differ_are_no_failure(folder: Path, tiny_artifacts: dict[str, Path], tiny_images: np.ndarray) -> None:
    from edge_runtime.classifier import Classifier

    model = tiny_artifacts["onnx-int8"]
    outputs = Classifier.load(model).predict(tiny_images).outputs
    golden = GoldenVectors.of(tiny_images, outputs.argmax(axis=1), {model.name: {"onnxruntime/default": np.roll(outputs, 1, axis=1)}})
    np.savez(folder / "lenient", **replace(golden, tolerance={model.name: {"onnxruntime/default": 9.0}}).to_arrays())
    done = edge_runtime(folder, "selftest", "--model", model, "--golden", "lenient.npz")
    assert done.stdout.startswith("PASS: 96 golden images, 96 labels differ (near ties, within the tolerance), "), done.stdout


@pytest.fixture
def bundle(tiny_artifacts: dict[str, Path], tiny_images: np.ndarray, tmp_path: Path) -> Path:
    """Folder `edge_bundle` beside edge_runtime, as a bundle unpacks them; its runtime is not the one that would be taken by itself."""
    from edge_runtime.worker import run_in_subprocess

    model = tiny_artifacts["tflite-int8"]
    package = tmp_path / "unpacked/edge_bundle"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (tmp_path / "unpacked/edge_runtime").symlink_to(Path(__file__).parent.parent / "edge_runtime")
    (package / model.name).write_bytes(model.read_bytes())
    np.save(tmp_path / "images.npy", tiny_images)
    run_in_subprocess(
        {"job": "predict", "model": str(model), "images": str(tmp_path / "images.npy"), "outputs": str(tmp_path / "outputs.npy")}, "tflite-runtime"
    )
    outputs = np.load(tmp_path / "outputs.npy")
    golden = GoldenVectors.of(tiny_images, outputs.argmax(axis=1), {model.name: {"tflite-runtime/default": outputs}})
    np.savez(package / "tiny.golden.npz", **golden.to_arrays())
    sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in package.iterdir()}
    manifest = {"model": model.name, "golden": "tiny.golden.npz", "sha256": sums, "runtime": "tflite-runtime"}
    (package / "manifest.json").write_text(json.dumps(manifest))
    return package


def from_bundle(bundle: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join((str(bundle.parent), os.environ.get("PYTHONPATH", "")))
    command = [sys.executable, "-m", "edge_runtime", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path})


def test_in_a_bundle_every_command_knows_its_model(bundle: Path, folder: Path) -> None:
    (answer,) = from_bundle(bundle, folder, "classify", "photo.npy", "--json").stdout.splitlines()
    assert json.loads(answer)["runtime"] == "tflite-runtime", "as the manifest says"
    assert from_bundle(bundle, folder, "selftest").stdout.startswith("PASS: 96 golden images, 0 labels differ")
    (timed,) = from_bundle(bundle, folder, "bench", "--json", "--seconds", "0.01").stdout.splitlines()
    assert json.loads(timed)["runtime"] == "tflite-runtime"
    assert "runs tiny-tflite-int8.tflite" in from_bundle(bundle, folder, "doctor").stdout
    other = from_bundle(bundle, folder, "classify", "photo.npy", "--json", "--runtime", "ai-edge-litert")
    assert json.loads(other.stdout)["runtime"] == "ai-edge-litert"


@pytest.mark.parametrize(
    ("file", "command"), [("tiny-tflite-int8.tflite", "classify"), ("tiny-tflite-int8.tflite", "doctor"), ("tiny.golden.npz", "selftest")]
)
def test_a_bundle_refuses_files_that_are_not_its_own(bundle: Path, folder: Path, file: str, command: str) -> None:
    with (bundle / file).open("ab") as changed:
        changed.write(b"\0")
    done = from_bundle(bundle, folder, command, *(["photo.npy"] if command == "classify" else []))
    assert f"{file} is not the file it should be" in one_line_error(done)


@pytest.mark.parametrize("manifest", ["", "[]", "{}", '{"model": 1, "golden": "a", "sha256": {}, "runtime": "b"}'])
def test_a_damaged_manifest_is_one_line(bundle: Path, folder: Path, manifest: str) -> None:
    (bundle / "manifest.json").write_text(manifest)
    assert "manifest of this bundle is damaged" in one_line_error(from_bundle(bundle, folder, "selftest"))


def test_bench_times_every_runtime_with_enough_samples_for_its_percentiles(
    folder: Path, tiny_artifacts: dict[str, Path], tiny_images: np.ndarray
) -> None:
    np.save(folder / "images.npy", tiny_images)
    arguments = ("--model", tiny_artifacts["tflite-int8"], "--images", "images.npy", "--seconds", "0.02")
    done = edge_runtime(folder, "bench", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    timed = {line["runtime"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert set(timed) == {"ai-edge-litert", "tflite-runtime"}
    for line in timed.values():
        assert line["samples"] >= 1024
        for scope in ("invoke_us", "predict_us"):
            assert 0 < line[scope]["p50"] <= line[scope]["p90"] <= line[scope]["p99"]
        assert line["invoke_us"]["p50"] < line["predict_us"]["p50"]
        assert line["threads"] == 1
        assert all(line[name] > 0 for name in ("import_ms", "load_ms", "first_ms", "peak_memory_bytes"))
    table = edge_runtime(folder, "bench", *arguments, "--runtime", "tflite-runtime", "--threads", "2").stdout
    assert table.startswith("tflite-runtime 2.14.0, none, 2 threads: predict p50 ")
    assert len(table.splitlines()) == 1


def test_percentiles_need_their_samples() -> None:
    from edge_runtime.bench import percentiles

    assert list(percentiles(range(63))) == ["p50"]
    assert list(percentiles(range(662))) == ["p50", "p90", "p99"]
    assert percentiles([1000, 2000, 3000])["p50"] == 2.0


def test_bench_says_what_it_cannot_time(folder: Path, tiny_artifacts: dict[str, Path]) -> None:
    model = tiny_artifacts["onnx-int8"]
    assert "Give --golden FILE" in one_line_error(edge_runtime(folder, "bench", "--model", model))
    for seconds in ("nan", "-1", "inf"):
        assert f"got {seconds}" in one_line_error(edge_runtime(folder, "bench", "--model", model, f"--seconds={seconds}"))
    (folder / "noise.npy").write_bytes(b"noise")
    assert "noise.npy as an array" in one_line_error(edge_runtime(folder, "bench", "--model", model, "--images", "noise.npy"))
    np.save(folder / "wide.npy", np.zeros((2, 9, 8), np.uint8))
    wrong = edge_runtime(folder, "bench", "--model", model, "--images", "wide.npy")
    assert (wrong.returncode, "takes images [N, 8, 8, 1], got [1, 9, 8]" in wrong.stderr.splitlines()[-1]) == (2, True)
    np.save(folder / "images.npy", np.zeros((3, 8, 8), np.uint8))
    other = edge_runtime(folder, "bench", "--model", model, "--images", "images.npy", "--runtime", "tflite-runtime")
    assert (other.returncode, "opens .tflite files" in other.stdout) == (1, True)


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 1)])
def test_bench_takes_one_image_as_classify_does(folder: Path, tiny_artifacts: dict[str, Path], shape: tuple[int, ...]) -> None:
    np.save(folder / "one.npy", np.zeros(shape, np.uint8))
    done = edge_runtime(folder, "bench", "--model", tiny_artifacts["onnx-int8"], "--images", "one.npy", "--seconds", "0")
    assert (done.returncode, done.stdout.startswith("onnxruntime ")) == (0, True), done.stderr


@pytest.mark.parametrize("runtime", ["ai-edge-litert", "tflite-runtime"])
def test_classifying_a_picture_takes_no_more_memory_than_a_small_board_has(folder: Path, tiny_artifacts: dict[str, Path], runtime: str) -> None:
    classify = ["-m", "edge_runtime", "classify", "photo.png", "--model", str(tiny_artifacts["tflite-int8"]), "--runtime", runtime]
    launcher = [sys.executable, "-S", "-c", MEASURED, sys.executable, *classify]
    done = subprocess.run(launcher, cwd=folder, capture_output=True, text=True)
    answer, kilobytes = done.stdout.splitlines()
    assert answer.startswith("photo.png: ")
    assert int(kilobytes) * 1024 <= 80e6


def test_explain_draws_the_steps_that_json_names(folder: Path, tiny_artifacts: dict[str, Path]) -> None:
    Image.open(folder / "photo.png").resize((60, 80)).save(folder / "large.png")
    done = edge_runtime(folder, "classify", "large.png", "--model", tiny_artifacts["tflite-int8"], "--explain", "steps.png", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert [step["step"] for step in json.loads(done.stdout)["steps"]] == ["upright", "resize"]
    with Image.open(folder / "steps.png") as drawn:
        assert drawn.format == "PNG"
        assert drawn.width > 2 * 240
    written = edge_runtime(folder, "classify", "large.png", "--model", tiny_artifacts["tflite-int8"], "--photo", "dark-ink", "--json")
    assert [step["step"] for step in json.loads(written.stdout)["steps"]][-1] == "fit"


def test_explain_that_cannot_be_drawn_is_one_line(folder: Path, tiny_artifacts: dict[str, Path]) -> None:
    model = ("--model", tiny_artifacts["tflite-int8"])
    assert "one picture" in one_line_error(edge_runtime(folder, "classify", "photo.png", "photo.npy", *model, "--explain", "steps.png"))
    assert "Cannot write none/steps.png" in one_line_error(edge_runtime(folder, "classify", "photo.png", *model, "--explain", "none/steps.png"))
    assert "Did you mean" in one_line_error(edge_runtime(folder, "classify", "photo.png", *model, "--photo", "lightink"))
