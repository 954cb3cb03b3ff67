"""From a simulated board to a predicted time, end to end."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.instructions import SCOPES, count_instructions
from benchmarks.matrix import Artifact
from benchmarks.mca import Analyser, have_llvm
from benchmarks.predict import board_times, predict_times
from benchmarks.targets.programs import PACKAGES
from benchmarks.targets.simulated import SimulatedTarget
from edge_runtime.errors import EdgeproofError
from edgeproof.workspace import file_sha256
from tests.pipelines import Run, run
from tests.simulated import RUNTIME

pytestmark = pytest.mark.skipif(not have_llvm(), reason="llvm-19 is not installed")

BENCH = ("bench", "--on", "sim-pi4", "--runtime", RUNTIME, "-w", "w")


def test_the_same_file_counted_twice_with_nothing_remembered_is_predicted_alike(
    pi4: SimulatedTarget, tiny_artifacts: dict[str, Path], tiny_images: np.ndarray, tmp_path: Path
) -> None:
    path = tiny_artifacts["tflite-int8"]
    artifact = Artifact(path, "tflite-int8", "qat", file_sha256(path), (), path.stat().st_size)
    found = []
    for name in ("one", "other"):
        counted = count_instructions([artifact], tiny_images, pi4, runtimes=[RUNTIME])
        found += predict_times("pi4", counted, Analyser(tmp_path / name))
    times = board_times("pi4")
    for scope in SCOPES:
        one, other = found[0][scope], found[1][scope]
        assert one.cycles == pytest.approx(other.cycles, rel=0.005)
        assert one.milliseconds == pytest.approx(other.milliseconds, rel=0.02)
        assert (one.low, one.high) == pytest.approx((one.milliseconds * times.low, one.milliseconds * times.high))
        assert one.milliseconds > one.cycles * times.weights["cycles"] / (times.clock_mhz * 1e3), "memory costs something"
    assert found[0]["invoke"].milliseconds < found[0]["predict"].milliseconds


def test_onnx_runtime_is_predicted_too(pi4: SimulatedTarget, tiny_artifacts: dict[str, Path], tiny_images: np.ndarray, tmp_path: Path) -> None:
    path = tiny_artifacts["onnx-int8"]
    try:
        pi4.packages("onnxruntime")
    except EdgeproofError as error:
        pytest.skip(f"onnxruntime cannot be had for the board: {error}")
    counted = count_instructions([Artifact(path, "onnx-int8", "qat", file_sha256(path), (), path.stat().st_size)], tiny_images, pi4)
    assert [(one.runtime, one.reason) for one in counted] == [("onnxruntime", "")]
    (times,) = predict_times("pi4", counted, Analyser(tmp_path))
    assert 0 < times["invoke"].low < times["invoke"].milliseconds < times["predict"].milliseconds < times["predict"].high < 1


def test_the_command_shows_them_apart_and_judges_a_limit_by_whole_intervals(judged_on_pi4: Run, tmp_path: Path) -> None:
    shutil.copytree(judged_on_pi4.workspace, tmp_path / "w")
    done = run(*BENCH, "--max-ms", "1000", "--json", cwd=tmp_path)
    assert done.code == 0, done.stderr
    fields = json.loads(done.stdout)
    assert fields["limit"]["verdict"] == "PASS"
    assert all("predicted" in line for line in fields["limit"]["lines"])
    assert fields["llvm"].startswith(("19", "2"))
    slowest = max(fields["rows"], key=lambda row: row["predicted"]["predict"]["milliseconds"])
    within = run(*BENCH, "--max-ms", str(slowest["predicted"]["predict"]["milliseconds"]), cwd=tmp_path)
    assert (within.code, "INCONCLUSIVE: " in within.stdout) == (3, True), within.stdout
    assert "Predicted time per inference on Raspberry Pi 4" in within.stdout
    beyond = run(*BENCH, "--max-ms", "1e-6", cwd=tmp_path)
    assert (beyond.code, beyond.stdout.count("FAIL: ")) == (1, 2), beyond.stdout


@pytest.mark.parametrize(
    ("options", "complaint"),
    [(("--max-ms", "0"), "milliseconds above 0"), (("--on", "local", "--max-ms", "1"), "--max-ms is for simulated boards")],
)
def test_limits_that_cannot_be_judged_are_refused_before_anything_runs(tmp_path: Path, options: tuple[str, ...], complaint: str) -> None:
    done = run(*BENCH, *options, cwd=tmp_path)
    assert (done.code, complaint in done.stderr, "Traceback" in done.stderr) == (2, True, False), done.stderr


def test_without_llvm_the_counts_remain(judged_on_pi4: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(judged_on_pi4.workspace, tmp_path / "w")
    (tmp_path / "bin").mkdir()
    for name in (*PACKAGES, "env", "cc1", "as", "ld"):
        if found := shutil.which(name):
            (tmp_path / "bin" / name).symlink_to(os.path.realpath(found) if name == "gcc" else found)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    done = run(*BENCH, cwd=tmp_path)
    assert done.code == 0, done.stderr
    assert "Instructions per inference" in done.stdout
    assert "Predicted" not in done.stdout
    assert "sudo apt-get install llvm-19" in done.stderr
    limited = run(*BENCH, "--max-ms", "1", cwd=tmp_path)
    assert (limited.code, "LLVM 19 or newer" in limited.stderr) == (2, True), limited.stderr
