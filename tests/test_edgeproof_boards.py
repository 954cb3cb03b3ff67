"""Whole commands on a board: what they write, and what they say and leave when something breaks in the middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_runtime.golden import GoldenVectors
from edgeproof.stages.recorded import results_of
from edgeproof.workspace import Workspace
from tests.boards import RUNTIME, Board
from tests.pipelines import EDGEPROOF, Run, run

_KEEPER = "exec(json.loads("  # the program that holds the folder
_JOB = "pyz job"


@pytest.fixture(scope="module")
def judged(tiny_artifacts: dict[str, Path], tiny_images: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with workspace `w`: two exports judged on this machine, with golden vectors beside them."""
    folder = tmp_path_factory.mktemp("judged")
    np.savez(folder / "pictures.npz", images=tiny_images, labels=np.arange(96) % 3, class_names=["a", "b", "c"])
    files = [tiny_artifacts[format] for format in ("tflite-float32", "tflite-int8")]
    options = ("--baseline", files[0], "--data", "pictures.npz", "-w", "w", "--runtime", RUNTIME, "--kernels", "default", "--max-drop", "40")
    done = run("parity", *options, "--export", *files, cwd=folder)
    assert (done.code, "PASS" in done.stdout) == (0, True), done.stderr
    workspace = Workspace(folder / "w")
    raw = {path.name: workspace.read_arrays(f"outputs/{path.name}-{RUNTIME}-default-local.npz")["raw"] for path in files}
    golden = GoldenVectors.of(tiny_images, np.arange(96) % 3, {name: {f"{RUNTIME}/default": answers} for name, answers in raw.items()})
    workspace.write_arrays("artifacts/tiny.golden.npz", golden.to_arrays())
    workspace.write_json("artifacts/manifest.json", {**workspace.read_json("artifacts/manifest.json"), "golden": {"file": "tiny.golden.npz"}})
    return folder


@pytest.fixture
def place(judged: Path, tmp_path: Path) -> Path:
    """A copy of it, for one test."""
    subprocess.run(["cp", "-r", judged / "w", tmp_path / "w"], check=True)
    return tmp_path


def _options(*boards: Board, runtime: str = RUNTIME) -> list[str]:
    return ["-w", "w", "--runtime", runtime, *(part for board in boards for part in ("--on", board.name))]


def _latency(place: Path, board: Board) -> dict[str, Any]:
    (file,) = (place / "w/latency").glob(f"ssh-127.0.0.1-{board.port}-*.json")
    return dict(json.loads(file.read_text()))


def _errors(text: str) -> list[str]:
    assert "Traceback" not in text, text
    return [line for line in text.splitlines() if line.startswith("error: ")]


def test_parity_on_two_boards_gives_the_answers_of_this_machine(boards: tuple[Board, Board], place: Path) -> None:
    done = run("parity", *_options(*boards), "--on", "local", "--kernels", "default", "--max-drop", "40", cwd=place)
    assert done.code == 0, done.stderr
    workspace, rows = Workspace(place / "w"), json.loads((place / "w/parity.json").read_text())["rows"]
    assert [row["target"] for row in rows] == [name for name in (boards[0].name, boards[1].name, "local") for _ in range(2)]
    for artifact in ("tiny-tflite-float32.tflite", "tiny-tflite-int8.tflite"):
        names = [f"outputs/{artifact}-{RUNTIME}-default-{part}.npz" for part in ("local", *(f"ssh-127.0.0.1-{board.port}" for board in boards))]
        here, *there = [workspace.read_arrays(name)["raw"] for name in names]
        for answers in there:
            np.testing.assert_array_equal(answers, here)
    assert [board.left for board in boards] == [[], []]
    assert run("parity", "-w", "w", "--rejudge", cwd=place).code == 0, "the saved answers are found again"


def test_bench_times_what_passes_its_self_test_and_says_what_the_times_are_worth(board: Board, place: Path, new_console: Any) -> None:
    workspace, damaged = Workspace(place / "w"), "outputs/tiny-tflite-int8.tflite"
    vectors = workspace.read_arrays("artifacts/tiny.golden.npz")
    workspace.write_arrays("artifacts/tiny.golden.npz", {**vectors, damaged: np.roll(vectors[damaged], 1, axis=1)})
    done = run("bench", *_options(board), "--seconds", "0.05", cwd=place)
    assert done.code == 0, done.stderr
    fields = _latency(place, board)
    reasons = {row["artifact"]: row["reason"] for row in fields["rows"]}
    assert (fields["target"], reasons["tiny-tflite-float32.tflite"]) == (board.name, "")
    assert "its self-test failed there" in reasons["tiny-tflite-int8.tflite"]
    assert len(fields["board"]["during"]) >= 1
    validity = fields["validity"]
    assert f"Times of {board.name} are {validity['verdict']}" in " ".join(done.stdout.split())
    if "hypervisor" in Path("/proc/cpuinfo").read_text():
        assert validity["verdict"] == "INVALID"
        assert validity["reasons"][0] == "a virtual machine, not a board (its processor reports a hypervisor)"
    assert len(results_of(workspace, new_console(), board.name)) == (validity["verdict"] == "VALID"), "what is invalid is kept out of history"
    assert board.left == []


@pytest.mark.parametrize("address", ["ssh://-oProxyCommand=touch hurt", "ssh://pi;touch hurt", "ssh://"])
def test_what_is_no_address_starts_nothing(address: str, place: Path) -> None:
    done = run("bench", "-w", "w", "--on", address, cwd=place)
    assert (done.code, len(_errors(done.stderr))) == (2, 1)
    assert "is no address of a board" in done.stderr
    assert not list(place.rglob("hurt*"))


def test_an_unknown_host_key_is_one_line(board: Board, place: Path) -> None:
    (board.folder / "known_hosts").write_text("")
    done = run("parity", *_options(board), cwd=place)
    (said,) = _errors(done.stderr)
    assert (done.code, said) == (
        2,
        f"error: The host key of {board.name} is not known here: run `ssh -p {board.port} 127.0.0.1` once by hand and compare it.",
    )


def test_the_layers_of_an_export_are_timed_on_the_board(board: Board, place: Path) -> None:
    done = run("bench", "--layers", *_options(board), "--seconds", "0.2", cwd=place)
    assert done.code == 0, done.stderr
    (file,) = (place / "w/latency").glob(f"ssh-127.0.0.1-{board.port}-layers-*.json")
    fields = json.loads(file.read_text())
    assert [[part["operator"] for part in row["parts"]] for row in fields["rows"]] == 2 * [["CONV_2D", "MEAN", "FULLY_CONNECTED"]]
    assert set(fields) >= {"host", "board", "validity"}, "what its times are worth"
    assert f"Times of {board.name} are {fields['validity']['verdict']}" in done.stdout
    assert "measured µs" in done.stdout


@contextmanager
def _benching(place: Path, *boards: Board) -> Iterator[subprocess.Popen[str]]:
    """A long `bench`, from when it times on every board."""
    command = [*EDGEPROOF, "bench", *_options(*boards), "--seconds", "60"]
    process = subprocess.Popen(command, cwd=place, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True)
    try:
        for board in boards:
            _wait_until_timing(board, process)
        yield process
    finally:
        process.kill()
        process.communicate()


def _wait_until_timing(board: Board, process: subprocess.Popen[str]) -> None:
    for _ in range(1200):
        if sum(_JOB in command for _, command in board.sessions()) == 2:  # the one that watches, and the one that times
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise AssertionError(board.sessions())


@pytest.mark.parametrize("held", [_KEEPER, "all"])
def test_a_lost_connection_is_one_line_and_leaves_nothing(held: str, board: Board, place: Path) -> None:
    with _benching(place, board) as process:
        board.kill_sessions(lambda command: held == "all" or held in command)
        _, said = process.communicate(timeout=60)
    (error,) = _errors(said)
    assert process.returncode == 2
    assert f"The connection to {board.name} failed or was lost" in error
    assert board.wait_until_left(0)
    assert not list((place / "w").glob("latency/*"))
    assert [command for _, command in board.sessions() if _JOB in command] == []


def test_ctrl_c_leaves_nothing(board: Board, place: Path) -> None:
    with _benching(place, board) as process:
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        _, said = process.communicate(timeout=60)
        left = board.left
    assert (process.returncode, _errors(said), left) == (130, [], []), "the folder is gone when the command ends"


def test_one_board_that_is_lost_does_not_cost_the_others_result(boards: tuple[Board, Board], place: Path) -> None:
    command = [*EDGEPROOF, "bench", *_options(*boards), "--seconds", "0.05"]
    with subprocess.Popen(command, cwd=place, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        _wait_until_timing(boards[0], process)
        boards[0].kill_sessions(lambda command: True)
        _, said = process.communicate(timeout=60)
    (error,) = _errors(said)
    assert (process.returncode, boards[0].name in error) == (2, True)
    assert [row["reason"] for row in _latency(place, boards[1])["rows"]] == ["", ""]
    assert [board.wait_until_left(0) for board in boards] == [True, True]


def test_a_board_without_python_is_one_line(board: Board, place: Path) -> None:
    (board.folder / "bin/python3").unlink()
    done: Run = run("bench", *_options(board), cwd=place)
    assert (done.code, len(_errors(done.stderr))) == (2, 1)
    assert f"{board.name} has no python3" in done.stderr
