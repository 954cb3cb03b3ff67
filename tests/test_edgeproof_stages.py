"""Each stage alone, over a workspace; and the same bytes when it is run again."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.pipelines import EDGEPROOF, Run, run
from train.datasets import load_dataset


@pytest.fixture
def copied(digits_run: Run, tmp_path: Path) -> Path:
    """A private copy of the finished workspace."""
    shutil.copytree(digits_run.workspace, tmp_path / "w")
    return tmp_path


def _artifact_hashes(folder: Path) -> dict[str, str]:
    manifest = json.loads((folder / "w/artifacts/manifest.json").read_text())
    return {name: facts["sha256"] for name, facts in manifest["artifacts"].items()}


def test_exporting_again_gives_the_same_bytes(copied: Path) -> None:
    before = _artifact_hashes(copied)
    calibration = json.loads((copied / "w/artifacts/manifest.json").read_text())["calibration"]
    assert run("export", "all", "-w", "w", cwd=copied).code == 0
    everything = _artifact_hashes(copied)
    assert (len(before), len(everything), before.items() <= everything.items()) == (4, 8, True)
    assert json.loads((copied / "w/artifacts/manifest.json").read_text())["calibration"] == calibration


def test_python_m_export_does_the_same_as_the_command(copied: Path) -> None:
    before = _artifact_hashes(copied)
    shutil.rmtree(copied / "w/artifacts")
    done = run("tflite", "--int8", "-w", "w", cwd=copied, command=(sys.executable, "-m", "export"))
    assert done.code == 0, done.stderr
    assert _artifact_hashes(copied) == {name: digest for name, digest in before.items() if name.endswith("int8.tflite")}


def test_exporting_one_format_keeps_the_others_and_forgets_the_old_verdict(copied: Path) -> None:
    before = _artifact_hashes(copied)
    assert run("export", "onnx", "--int8", "-w", "w", cwd=copied).code == 0
    assert _artifact_hashes(copied) == before, "the same bytes, alone or with others"
    assert not (copied / "w/parity.json").exists()
    assert run("parity", "-w", "w", "--runtime", "onnxruntime", cwd=copied).code == 0
    assert {row["runtime"] for row in json.loads((copied / "w/parity.json").read_text())["rows"]} == {"onnxruntime"}


def test_parity_bench_and_dashboard_alone(copied: Path) -> None:
    parity = run("parity", "--json", "-w", "w", cwd=copied)
    assert parity.code == 0
    assert json.loads(parity.stdout)["verdict"] == "PASS", "stdout holds one JSON object and nothing else"
    bench = run("bench", "--seconds", "0.1", "--runtime", "ai-edge-litert", "-w", "w", cwd=copied)
    assert bench.code == 0, bench.stderr
    assert "invoke p50" in bench.stdout
    page = (copied / "w/dashboard.html").read_bytes()
    assert run("dashboard", "-w", "w", cwd=copied).code == 0
    assert (copied / "w/dashboard.html").read_bytes() != page, "it shows the newest measurement"


def test_a_strict_margin_fails_or_asks_for_more_images(copied: Path) -> None:
    done = run("parity", "--max-drop", "0.001", "-w", "w", cwd=copied)
    rows = json.loads((copied / "w/parity.json").read_text())["rows"]
    assert {row["verdict"] for row in rows if row["broken"] == row["fixed"] == 0} == {"INCONCLUSIVE"}
    assert done.code == (1 if "FAIL" in {row["verdict"] for row in rows} else 3), "an export that lost answers may fail it"
    assert "images would decide" in done.stdout
    assert "cannot certify" in done.stderr


def test_an_artifact_that_was_changed_is_refused(copied: Path) -> None:
    path = copied / "w/artifacts/compact-tflite-int8.tflite"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    done = run("parity", "-w", "w", cwd=copied)
    assert done.code == 2
    assert "not the file that was exported" in done.stderr


def test_the_seed_recipe_becomes_a_file_in_which_every_operator_is_int8(tmp_path: Path) -> None:
    digits = load_dataset("digits")
    np.savez(tmp_path / "some.npz", images=digits.images[:3000], labels=digits.labels[:3000])
    assert run("train", "--recipe", "seed", "--data", "some.npz", "--epochs", "1", "-w", "w", cwd=tmp_path).code == 0
    qat = run("qat", "--epochs", "1", "-w", "w", cwd=tmp_path)
    assert qat.code == 0, qat.stderr
    assert qat.stdout.count("folded forward") == 3
    assert run("export", "tflite", "--int8", "-w", "w", cwd=tmp_path).code == 0
    audit = json.loads((tmp_path / "w/artifacts/manifest.json").read_text())["artifacts"]["seed-tflite-int8.tflite"]["audit"]
    assert audit["float_islands"] == []
    assert audit["operators"] == {"CONV_2D v3": 4, "MAX_POOL_2D v2": 3, "FULLY_CONNECTED v4": 2}
    assert audit["macs"] == 8_045_184
    parity = run("parity", "-w", "w", cwd=tmp_path)
    assert parity.code in (0, 3), parity.stdout


def test_an_interrupted_training_exits_130_and_leaves_nothing(tmp_path: Path) -> None:
    command = [*EDGEPROOF, "train", "-w", "w"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        try:
            _interrupt_while_training(process)
        finally:
            process.kill()
    assert not (tmp_path / "w").exists()


def _interrupt_while_training(process: subprocess.Popen[str]) -> None:
    assert process.stderr is not None
    while "Training compact" not in process.stderr.readline():
        pass
    time.sleep(8)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    assert "interrupted" in process.stderr.read()


def test_a_lost_artifact_can_be_exported_again(copied: Path) -> None:
    name = next(name for name in _artifact_hashes(copied) if name.endswith("float32.onnx"))
    (copied / "w/artifacts" / name).unlink()
    assert run("parity", "-w", "w", cwd=copied).stderr.startswith(f"error: w/artifacts/{name} is missing: run ")
    done = run("export", "tflite", "--float32", "-w", "w", cwd=copied)
    assert (done.code, f"Left out of the manifest: w/artifacts/{name} is missing" in done.stderr) == (0, True)
    assert run("export", "onnx", "--float32", "-w", "w", cwd=copied).code == 0
    assert name in json.loads((copied / "w/artifacts/manifest.json").read_text())["artifacts"]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("parity", "--runtime", "onnxruntime", "--kernels", "builtin"), "onnxruntime has no builtin kernels"),
        (("export", "tflite", "--max-drop", "1"), "--max-drop only means something with --mixed"),
        (("export", "tflite", "--mixed", "--max-drop", "-1"), "between 0 and 100"),
    ],
)
def test_options_that_come_to_nothing_are_refused_and_change_nothing(copied: Path, options: tuple[str, ...], complaint: str) -> None:
    before = (copied / "w/parity.json").read_bytes()
    done = run(*options, "-w", "w", cwd=copied)
    assert (done.code, complaint in done.stderr, "Traceback" in done.stderr) == (2, True, False), done.stderr
    assert (copied / "w/parity.json").read_bytes() == before


@pytest.mark.parametrize(("name", "damaged"), [("parity.json", b"{}"), ("artifacts/compact.golden.npz", None), ("validation.npz", None)])
def test_a_record_that_lacks_what_it_must_hold_is_named(copied: Path, name: str, damaged: bytes | None) -> None:
    if damaged is None:
        np.savez(copied / "w" / name, images=np.zeros((2, 28, 28, 1), np.uint8))
    else:
        (copied / "w" / name).write_bytes(damaged)
    command = ("parity", "--rejudge") if name != "artifacts/compact.golden.npz" else ("check", "w")
    done = run(*command, *(() if command[0] == "check" else ("-w", "w")), cwd=copied)
    assert "Traceback" not in done.stderr
    assert done.code == (1 if command[0] == "check" else 2), done.stderr
    assert Path(name).name in done.stderr + done.stdout
