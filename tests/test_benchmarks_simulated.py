"""One simulated board, end to end: the real aarch64 Python and wheels under the emulator."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.counts import read_counts
from benchmarks.instructions import SCOPES, count_instructions, instructions
from benchmarks.matrix import Artifact
from benchmarks.targets.programs import PACKAGES, require
from benchmarks.targets.programs import run as run_program
from benchmarks.targets.simulated import SimulatedTarget
from edge_runtime.errors import RuntimeMissingError, RuntimeProblem
from edgeproof.workspace import file_sha256
from tests.pipelines import EDGEPROOF, Run, run
from tests.simulated import RUNTIME, emulators


@pytest.fixture
def copied(judged_on_pi4: Run, tmp_path: Path) -> Path:
    """A private copy of the judged workspace."""
    shutil.copytree(judged_on_pi4.workspace, tmp_path / "w")
    return tmp_path


def _artifact(path: Path, format: str) -> Artifact:
    return Artifact(path, format, "qat", file_sha256(path), (), path.stat().st_size)


def test_the_boards_answers_are_judged_beside_those_of_this_machine(judged_on_pi4: Run) -> None:
    rows = judged_on_pi4.json("parity.json")["rows"]
    assert {(row["artifact"], row["target"]) for row in rows} == {
        (f"tiny-tflite-{name}.tflite", target) for name in ("int8", "float32") for target in ("local", "sim-pi4")
    }, judged_on_pi4.stderr
    assert {(row["images"], row["gates"], row["kernels"]) for row in rows} == {(96, True, "default")}
    float_rows = [row for row in rows if row["format"].endswith("float32")]
    assert [row["agreement"] for row in float_rows] == [1.0, 1.0]
    raw = {row["target"]: np.load(judged_on_pi4.workspace / _outputs(row))["raw"] for row in float_rows}
    np.testing.assert_allclose(raw["sim-pi4"], raw["local"], atol=1e-4)
    assert judged_on_pi4.code == 0, judged_on_pi4.stdout


def _outputs(row: dict[str, Any]) -> str:
    return f"outputs/{row['artifact']}-{row['runtime']}-{row['kernels']}-{row['target']}.npz"


def test_programs_see_the_board_and_nothing_of_the_host(pi4: SimulatedTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    answer = pi4.run({"job": "doctor"}, RUNTIME)
    assert (answer["machine"], answer["python"][:4]) == ("aarch64", "3.11")
    assert "Raspberry Pi 4" in (pi4.system() / "proc/cpuinfo").read_text()
    outside = [path for path in pi4.system().rglob("*") if path.is_symlink() and os.readlink(path).startswith("/")]
    assert not outside, "an absolute link leads into the host's system"


def test_counts_repeat_and_say_which_blocks_they_are_made_of(
    pi4: SimulatedTarget, tiny_artifacts: dict[str, Path], tiny_images: np.ndarray, tmp_path: Path
) -> None:
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(tiny_artifacts["tflite-int8"].read_bytes()[:500])
    artifacts = [_artifact(cut, "tflite-cut"), _artifact(tiny_artifacts["tflite-int8"], "tflite-int8")]
    broken, first = count_instructions(artifacts, tiny_images, pi4, runtimes=[RUNTIME])
    (again,) = count_instructions(artifacts[1:], tiny_images, pi4, runtimes=[RUNTIME])
    assert "cut.tflite is cut short or damaged" in broken.reason
    assert not first.reason
    assert first.facts["runtime"] == RUNTIME
    for scope in SCOPES:
        one, two = (instructions(counted.per_inference(scope)) for counted in (first, again))
        assert one == pytest.approx(two, rel=0.005)
        assert one == pytest.approx((first.totals()[scope] - first.totals()["empty"]) / first.runs)
    invoke, predict = (instructions(first.per_inference(scope)) for scope in ("invoke", "predict"))
    assert 1000 < invoke < predict
    hottest = max(first.per_inference("invoke").items(), key=lambda item: item[1] * item[0].instructions)[0]
    assert len(hottest.code) == 4 * hottest.instructions > 0


def test_the_table_the_file_and_the_gate(copied: Path) -> None:
    bench = ("bench", "--on", "sim-pi4", "--runtime", RUNTIME, "-w", "w")
    first = run(*bench, cwd=copied)
    assert first.code == 0, first.stderr
    assert "Instructions per inference on sim-pi4 (cortex-a72)" in first.stdout
    assert "µs" not in first.stdout
    (file,) = (copied / "w/latency").glob("sim-pi4-*.json")
    result = read_counts(file)
    assert [row.key[0] for row in result.rows] == ["tiny-tflite-int8.tflite", "tiny-tflite-float32.tflite"]
    fields = json.loads(file.read_text())
    for row in fields["rows"]:
        row["instructions"] |= {scope: int(0.9 * row["instructions"][scope]) for scope in SCOPES}
    (copied / "before").mkdir()
    (copied / "before/sim-pi4.json").write_text(json.dumps(fields))
    worse = run(*bench, "--compare", "before", cwd=copied)
    assert (worse.code, worse.stdout.count("SLOWER: ")) == (1, 2), worse.stdout
    same = run(*bench, "--compare", file, "--max-slowdown", "0.5", "--json", cwd=copied)
    assert same.code == 0, same.stderr
    assert json.loads(same.stdout)["comparison"]["passed"] is True


def test_several_targets_are_one_object_for_programs(copied: Path) -> None:
    done = run("bench", "--on", "sim-pi4", "--on", "local", "--runtime", RUNTIME, "--seconds", "0.01", "--json", "-w", "w", cwd=copied)
    assert done.code == 0, done.stderr
    assert [result["target"] for result in json.loads(done.stdout)["results"]] == ["sim-pi4", "local"]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--on", "sim-pi9"), "Unknown target 'sim-pi9'. Did you mean 'sim-pi"),
        (("--on", "sim-pi4", "--threads", "2"), "one thread"),
        (("--on", "sim-pi4", "--compare", "nowhere.json"), "nowhere.json"),
        (("--on", "sim-pi4", "--rate", "5"), "leave --rate out"),
        (("--on", "local", "--compare", "nowhere.json"), "nowhere.json"),
        (("--threads", "0"), "--threads of at least 1"),
        (("--threads", "1,two"), "got '1,two'"),
        (("--rate", "0"), "--rate is a number of pictures a second between 0.1 and 1000, got 0"),
        (("--rate", "nan"), "got nan"),
        (("--rate", "0.1"), "--rate 0.1 takes --seconds 240 or more"),
        (("--rate", "30", "--seconds", "0.5"), "--rate 30 takes --seconds 0.8 or more"),
        (("--rate", "30", "--record"), "--record and --rate exclude each other"),
        (("--rate", "30", "--peers"), "leave --threads and --rate out"),
        (("--threads", "2", "--peers"), "leave --threads and --rate out"),
        (("--on", "sim-pi4", "--max-slowdown", "3"), "only means something with --compare"),
    ],
)
def test_options_that_cannot_be_are_refused_before_anything_runs(tmp_path: Path, options: tuple[str, ...], complaint: str) -> None:
    done = run("bench", *options, "-w", "w", cwd=tmp_path)
    assert (done.code, complaint in done.stderr, "Traceback" in done.stderr) == (2, True, False), done.stderr


@pytest.mark.parametrize(("program", "command"), [("qemu-aarch64", "parity"), ("qemu-aarch64", "bench"), ("gcc", "bench"), ("apt-get", "bench")])
def test_a_missing_program_is_one_line_that_names_its_package(
    copied: Path, program: str, command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """PATH holds links to all programs of PACKAGES but one; for apt, the cache is empty."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in PACKAGES:
        if name != program:
            (folder / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(folder))
    if program == "apt-get":
        monkeypatch.setenv("EDGEPROOF_CACHE", str(tmp_path / "cache"))
    before = sorted((copied / "w").rglob("*"))
    done = run(command, "--on", "sim-pi4", "--runtime", RUNTIME, "-w", "w", cwd=copied)
    assert (done.code, "Traceback" in done.stderr) == (2, False), done.stderr
    remedy = "use a Debian 12 machine or container." if program == "apt-get" else f"sudo apt-get install {PACKAGES[program]}."
    assert done.stderr.splitlines()[-1].endswith(remedy)
    assert sorted((copied / "w").rglob("*")) == before
    assert not list(tmp_path.glob("cache/boards/*")), "nothing half-made is left"


def test_all_missing_packages_are_named_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("apt-get", "dpkg-deb"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeMissingError, match=r"sim-pi4 needs qemu-user and gcc.*install qemu-user gcc\.$"):
        require(("qemu-aarch64", "gcc"), "sim-pi4")


def test_a_program_that_fails_is_named_with_its_last_line(tmp_path: Path) -> None:
    with pytest.raises(RuntimeProblem, match="Looking failed: .*nothing-there"):
        run_program(("ls", str(tmp_path / "nothing-there")), "Looking")


@pytest.mark.parametrize("terminal", [True, False])
def test_after_an_interrupt_no_emulator_runs(terminal: bool, copied: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (30_000, 8, 8, 1), np.uint8)
    validation = dict(np.load(copied / "w/validation.npz"))
    share = 1 + len(images) // len(validation["images"])
    np.savez(copied / "w/validation.npz", **{name: np.concatenate([values] * share) for name, values in validation.items()})
    command = [*EDGEPROOF, "parity", "--on", "sim-pi4", "--runtime", RUNTIME, "-w", "w"]
    pipes = {"stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=copied, text=True, start_new_session=True, **pipes) as process:
        try:
            assert process.stderr is not None
            while "Parity on sim-pi4" not in process.stderr.readline():
                pass
            _wait_until(lambda: bool(emulators(process.pid)))
            if terminal:
                os.killpg(process.pid, signal.SIGINT)
            else:  # as `timeout` and supervisors do
                process.terminate()
            assert process.wait(timeout=60) == 130
        finally:
            process.kill()
    _wait_until(lambda: not emulators(process.pid))


def _wait_until(holds: Any, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)
