"""What is missing on a board, or breaks during a visit, is one line; and nothing is left there."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.targets.base import Supply
from benchmarks.targets.ssh import SshTarget
from edge_runtime import private_folder
from edge_runtime.errors import RuntimeMissingError, TargetError
from tests.boards import PLACES, RUNTIME, Board, start_board, visit

PYTHONS = Path.home() / ".pyenv/versions"


def _said(board: Board, supply: Supply) -> str:
    """What a visit that fails says, and that it left nothing."""
    with pytest.raises(TargetError) as caught, visit(board, supply):
        pass
    assert board.wait_until_left(0)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_unknown_host_key_is_not_accepted(board: Board, supply_here: Supply) -> None:
    (board.folder / "known_hosts").write_text("")
    assert f"is not known here: run `ssh -p {board.port} 127.0.0.1` once by hand" in _said(board, supply_here)
    assert (board.folder / "known_hosts").read_text() == ""


def test_a_changed_host_key_is_not_accepted(board: Board, supply_here: Supply) -> None:
    other = (board.folder / "user_key.pub").read_text()
    (board.folder / "known_hosts").write_text(f"[127.0.0.1]:{board.port} {other}")
    assert "is not the one it had" in _said(board, supply_here)


def test_a_key_that_is_not_let_in(board: Board, supply_here: Supply) -> None:
    (board.folder / "user_key.pub").write_text((board.folder / "host_key.pub").read_text())
    assert "lets no key of yours in" in _said(board, supply_here)


def test_nobody_listens(board: Board, supply_here: Supply) -> None:
    board.stop()
    assert "Connection refused" in _said(board, supply_here)


def test_a_host_that_accepts_and_says_nothing(board: Board, supply_here: Supply, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEPROOF_SSH", f"{board.client.replace('=5', '=1')}")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begin = time.monotonic()
        with (
            pytest.raises(TargetError, match=r"Connection (timed out|to .* failed or was lost)"),
            SshTarget(f"ssh://127.0.0.1:{silent.getsockname()[1]}", supply_here),
        ):
            pass
    assert time.monotonic() - begin < 10


def test_no_ssh_here(board: Board, supply_here: Supply, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEPROOF_SSH", "/nowhere/ssh")
    assert "install an OpenSSH client" in _said(board, supply_here)


def test_no_python_there(board: Board, supply_here: Supply) -> None:
    (board.folder / "bin/python3").unlink()
    assert f"{board.name} has no python3" in _said(board, supply_here)


def test_python_is_taken_away_during_a_visit(board: Board, supply_here: Supply) -> None:
    with visit(board, supply_here) as target:
        (board.folder / "bin/python3").unlink()
        with pytest.raises(TargetError, match="has no python3"):
            target.run({"job": "doctor"}, RUNTIME)
    assert board.left == []


@pytest.mark.parametrize("version", ["3.6", "3.8", "3.10"])
def test_python_is_too_old(version: str, tmp_path: Path, supply_here: Supply, monkeypatch: pytest.MonkeyPatch) -> None:
    board = start_board(tmp_path / "board", _python(version))
    monkeypatch.setenv("EDGEPROOF_SSH", board.client)
    assert f"has Python {version}; a bundle needs 3.11 or newer" in _said(board, supply_here)
    board.stop()


def test_a_runtime_without_wheels_for_its_python(tmp_path: Path, supply_here: Supply, monkeypatch: pytest.MonkeyPatch) -> None:
    board = start_board(tmp_path / "board", _python("3.12"))
    monkeypatch.setenv("EDGEPROOF_SSH", board.client)
    assert f"{board.name} can run none of tflite-runtime: " in _said(board, supply_here)
    with SshTarget(board.name, supply_here) as target, pytest.raises(RuntimeMissingError):  # which says nothing of an artifact
        target.run({"job": "doctor"}, RUNTIME)
    board.stop()


def _python(version: str) -> str:
    found = [*sorted(PYTHONS.glob(f"{version}.*/bin/python{version}")), *filter(None, [shutil.which(f"python{version}")])]
    for python in map(str, found):
        if subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0:
            return python
    pytest.skip(f"no Python {version} here")


def test_a_login_shell_that_talks(tmp_path: Path, supply_here: Supply, monkeypatch: pytest.MonkeyPatch) -> None:
    board = start_board(tmp_path / "board", config='ForceCommand echo Welcome; sh -c "$SSH_ORIGINAL_COMMAND"')
    monkeypatch.setenv("EDGEPROOF_SSH", board.client)
    assert "prints 'Welcome" in _said(board, supply_here)
    board.stop()


@pytest.fixture
def small_disk(board: Board) -> Iterator[Path]:
    """All that can be written to on the board: 200 MB."""
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", board.disk], capture_output=True, check=False).returncode != 0:
        pytest.skip("a small disk takes a mount, and that root")
    for place in PLACES:
        (board.disk / place).mkdir(parents=True, exist_ok=True)
    yield board.disk
    subprocess.run(["umount", "-l", board.disk], check=True)


def _fill(place: Path, leave: int) -> None:
    room = os.statvfs(place)
    with (place / "filler").open("wb") as filler:
        os.posix_fallocate(filler.fileno(), 0, room.f_bavail * room.f_frsize - leave)


def test_there_is_no_room_for_the_bundle(board: Board, small_disk: Path, supply_here: Supply) -> None:
    _fill(small_disk, 2 * 2**20)
    assert re.search(r"/disk/run on ssh://\S+ has 2 MB left and \S+pyz takes \d\d+: free some space there", _said(board, supply_here))


def test_the_disk_fills_during_a_visit(
    board: Board,
    small_disk: Path,
    supply_here: Supply,
    tiny_artifacts: dict[str, Path],
    tmp_path: Path,
) -> None:
    np.save(tmp_path / "images.npy", np.zeros((3000, 8, 8, 1), np.uint8))
    files = {"model": str(tiny_artifacts["tflite-float32"]), "images": str(tmp_path / "images.npy"), "outputs": str(tmp_path / "out.npy")}
    with visit(board, supply_here) as target:
        target.run({**files, "job": "predict", "limit": 1}, RUNTIME)
        _fill(small_disk, 8192)
        with pytest.raises(TargetError, match="has no room left"):
            target.run({**files, "job": "predict"}, RUNTIME)
    assert board.left == []


def test_a_board_that_hears_nothing_removes_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the network is gone and nobody tells."""
    program = Path(private_folder.__file__).read_text().replace("SILENCE_SECONDS = 90", "SILENCE_SECONDS = 1")
    environment = {"XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"{}\n")
        process.stdin.flush()
        assert b'"folder"' in process.stdout.readline()
        assert len(list(tmp_path.iterdir())) == 1
        assert process.wait(10) == 1
    assert list(tmp_path.iterdir()) == []
