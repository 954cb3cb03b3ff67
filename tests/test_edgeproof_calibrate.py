"""The command `calibrate-board` against a board of known scale: a loopback sshd, whose clock goes as predicted times a factor."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks.boards import BOARDS
from benchmarks.calibration import Scale, to_fields
from benchmarks.mca import have_llvm
from benchmarks.predict import board_times
from tests.boards import Board, start_board
from tests.pipelines import Run, run
from tests.simulated import RUNTIME

pytestmark = pytest.mark.skipif(not have_llvm(), reason="llvm-19 is not installed")

FACTOR = 1.3
TOLERANCE = 0.02  # counts repeat, but for how the emulator places a process in memory
FAKE = Path(__file__).parent / "fake_board"
BENCH = ("bench", "--on", "sim-pi4", "--runtime", RUNTIME, "-w", "w")


@dataclass
class Owned:
    """A board with its clock, and a folder with workspace `w`."""

    board: Board
    place: Path

    def set_model(self, model: str) -> None:
        (self.board.folder / "kernel/proc/device-tree/model").write_text(model + "\0")

    def set_times(self, result: dict[str, Any], factor: float) -> None:
        """Each artifact takes what `result` predicts, times the factor."""
        times = {}
        for row in result["rows"]:
            invoke, predict = (1e6 * factor * row["predicted"][scope]["milliseconds"] for scope in ("invoke", "predict"))
            times[row["sha256"]] = [round(invoke), round(predict - invoke)]
        (self.board.folder / "kernel/times.json").write_text(json.dumps({RUNTIME: times}))

    def run(self, *arguments: str) -> Run:
        return run(*arguments, cwd=self.place)

    def calibrate(self, *arguments: str) -> Run:
        return self.run("calibrate-board", self.board.name, "--runtime", RUNTIME, "--seconds", "0.05", "-w", "w", *arguments)


@pytest.fixture(scope="module")
def predicted(judged_on_pi4: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `edgeproof bench --on sim-pi4` predicts with the published scale."""
    place = tmp_path_factory.mktemp("predicted")
    shutil.copytree(judged_on_pi4.workspace, place / "w")
    return dict(json.loads(run(*BENCH, "--json", cwd=place).stdout))


@pytest.fixture
def owned(judged_on_pi4: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Owned]:
    """A Raspberry Pi 4, as far as its kernel and its clock tell; this machine's processor works."""
    folder, place = tmp_path / "board", tmp_path / "here"
    shutil.copytree(judged_on_pi4.workspace, place / "w")
    kernel = folder / "kernel"
    for name, text in {**BOARDS["pi4"].files(), "proc/device-tree/model": ""}.items():
        (kernel / name).parent.mkdir(parents=True, exist_ok=True)
        (kernel / name).write_text(text)
    (kernel / "times.json").write_text("{}")
    (folder / "python").write_text(f'#!/bin/sh\nexec env PYTHONPATH={FAKE} FAKE_BOARD={kernel} {os.path.realpath(sys.executable)} "$@"\n')
    (folder / "python").chmod(0o755)
    board = start_board(folder, str(folder / "python"))
    monkeypatch.setenv("EDGEPROOF_SSH", board.client)
    monkeypatch.delenv("EDGEPROOF_BOARDS")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    owned = Owned(board, place)
    owned.set_model("Raspberry Pi 4 Model B Rev 1.2")
    yield owned
    board.stop()


def test_the_scale_of_a_board_is_found_kept_used_and_forgotten(owned: Owned, predicted: dict[str, Any], tmp_path: Path) -> None:
    owned.set_times(predicted, FACTOR)
    file = tmp_path / "config/edgeproof/boards.json"
    former = Scale(3.0, 0.5, 2.0, 0.1, 2, 0.1, 0.1, ())  # which plays no part in the new one
    fields = to_fields(former, (), board_times("pi4"), {"host": "ssh://former", "utc": "20260101T000000Z"})
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"schema": 1, "boards": {"pi4": fields, "pi5": fields}}))
    done = owned.calibrate("--json")
    assert done.code == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["board"], found["host"], found["file"]) == ("pi4", owned.board.name, str(file))
    assert found["scale"] == pytest.approx(FACTOR, rel=TOLERANCE)
    assert found["leave_one_out"]["worst"] < TOLERANCE
    assert found["model"] == "Raspberry Pi 4 Model B Rev 1.2"
    assert {one["sha256"] for one in found["timings"]} == {row["sha256"] for row in predicted["rows"]}
    assert (found["low"], found["high"]) == pytest.approx((1 / board_times("pi4").high, board_times("pi4").high), rel=1e-3), "of two artifacts"
    assert owned.board.left == []
    assert not list((owned.place / "w/latency").glob("sim-*")), "predictions by the published scale are not what the dashboard should find"

    shown = " ".join(owned.run(*BENCH).stdout.split())
    assert f"not measured; scale measured on {owned.board.name}, " in shown
    assert "2 artifacts, leave-one-out error 0." in shown
    (newest,) = sorted((owned.place / "w/latency").glob("sim-pi4-*.json"))[-1:]
    after = json.loads(newest.read_text())
    assert after["predicted_with"]["measured"] in shown
    assert after["predicted_with"]["scale"] == found["scale"]
    for one, other in zip(predicted["rows"], after["rows"], strict=True):
        for scope in ("invoke", "predict"):
            earlier, now = one["predicted"][scope], other["predicted"][scope]
            assert now["milliseconds"] == pytest.approx(FACTOR * earlier["milliseconds"], rel=2 * TOLERANCE)
            assert now["high"] == pytest.approx(now["milliseconds"] * found["high"], rel=1e-3)

    forgotten = owned.run("calibrate-board", "--forget", "pi4")
    assert (forgotten.code, list(json.loads(file.read_text())["boards"])) == (0, ["pi5"])
    twice = owned.run("calibrate-board", "--forget", "pi4")
    assert (twice.code, "holds no scale of pi4: it has pi5" in twice.stderr) == (2, True)


@pytest.mark.parametrize(
    ("model", "options", "said"),
    [
        ("Raspberry Pi 400 Rev 1.0", (), "none of pi3, zero2, pi4, pi5: if it has the processor of one of them, name that with --board"),
        ("", (), "is a machine that does not say what it is, none of"),
        ("Raspberry Pi 3 Model B Rev 1.2", (), "none of pi3"),
        ("Raspberry Pi 5 Model B Rev 1.0", ("--board", "pi4"), "that is pi5 and not pi4: leave --board out"),
        ("Raspberry Pi 4 Model B Rev 1.2", ("--board", "pi6"), "pi6"),
    ],
)
def test_a_machine_that_is_none_of_the_boards_is_refused_at_once(owned: Owned, model: str, options: tuple[str, ...], said: str) -> None:
    owned.set_model(model)
    done = owned.calibrate(*options)
    assert (done.code, said in done.stderr, "Traceback" in done.stderr) == (2, True, False), done.stderr
    assert not list((owned.place / "w/latency").glob("*")), "nothing ran"


def test_times_of_a_throttled_board_calibrate_nothing(owned: Owned, predicted: dict[str, Any], tmp_path: Path) -> None:
    owned.set_times(predicted, FACTOR)
    (owned.board.folder / "bin/vcgencmd").write_text("#!/bin/sh\necho throttled=0x4\n")
    (owned.board.folder / "bin/vcgencmd").chmod(0o755)
    done = owned.calibrate()
    assert (done.code, "INVALID: throttled while it was timed. They calibrate nothing" in done.stderr) == (2, True), done.stderr
    assert not (tmp_path / "config").exists()
