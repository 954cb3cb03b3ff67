"""The board behind ssh, job by job: what it answers, what it says when something is missing, what it leaves."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.targets import find_target, machine_of, opened
from benchmarks.targets.address import Address
from benchmarks.targets.base import Supply
from benchmarks.targets.openssh import OpenSsh
from benchmarks.targets.ssh import SshTarget
from edge_runtime import private_folder
from edge_runtime.errors import InputError, RuntimeMissingError, RuntimeProblem, TargetError
from edge_runtime.golden import GoldenVectors
from edge_runtime.private_folder import PREFIX, boot_id
from edgeproof.stages.side_by_side import on_all
from tests.boards import PLACES, Board, start_board

RUNTIME = "tflite-runtime"
PYTHONS = Path.home() / ".pyenv/versions"


@pytest.mark.parametrize(
    ("text", "arguments", "by_hand"),
    [
        ("ssh://pi", ["pi"], "ssh pi"),
        ("ssh://pi@10.0.0.7", ["-l", "pi", "10.0.0.7"], "ssh pi@10.0.0.7"),
        ("ssh://me.x@my-board.local:2222", ["-l", "me.x", "-p", "2222", "my-board.local"], "ssh -p 2222 me.x@my-board.local"),
        ("ssh://[fe80::1%eth0]:22", ["-p", "22", "fe80::1%eth0"], "ssh -p 22 fe80::1%eth0"),
    ],
)
def test_an_address_becomes_options_and_a_destination(text: str, arguments: list[str], by_hand: str) -> None:
    address = Address.parse(text)
    assert (address.arguments, address.by_hand, str(address)) == (arguments, by_hand, text)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "-oProxyCommand=touch x",
        "-l",
        "pi@-oX",
        "a b",
        "a;b",
        "$(x)",
        "a'b",
        "a/b",
        "pi:",
        "pi:0",
        "pi:65536",
        "pi:2 -v",
        "@pi",
        "a@b@c",
        "[::1",
        "pi\n",
    ],
)
def test_nothing_else_is_an_address(host: str) -> None:
    with pytest.raises(InputError, match="is no address of a board"):
        find_target(f"ssh://{host}")


def test_options_stand_before_the_destination(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEPROOF_SSH", "my-ssh -F 'a file'")
    command = OpenSsh(Address.parse("ssh://me@pi:7")).command("true")
    assert command[:3] == ["my-ssh", "-F", "a file"]
    assert command[-6:] == ["-l", "me", "-p", "7", "pi", "true"]
    assert "BatchMode=yes" in command
    assert not any("StrictHostKeyChecking" in part for part in command), "whether a host key is trusted is the user's to say"


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory, supply_here: Supply) -> Iterator[tuple[Board, SshTarget]]:
    """One board and one visit for all that goes well."""
    board = start_board(tmp_path_factory.mktemp("boards") / "one")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEPROOF_SSH", board.client)
        with SshTarget(board.name, supply_here) as target:
            target.prepare([RUNTIME], say=lambda text: None)
            yield board, target
        assert board.left == []
        board.stop()


@pytest.fixture
def files(tiny_artifacts: dict[str, Path], tiny_images: np.ndarray, tmp_path: Path) -> dict[str, str]:
    np.save(tmp_path / "images.npy", tiny_images)
    return {"model": str(tiny_artifacts["tflite-int8"]), "images": str(tmp_path / "images.npy"), "outputs": str(tmp_path / "out.npz")}


class TestOnABoard:
    def test_the_folder_is_private(self, there: tuple[Board, SshTarget]) -> None:
        (folder,) = there[0].left
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert any(folder.rglob("site-packages")), "the bundle unpacks inside, not into the user's cache"

    def test_it_answers_as_this_machine_does(self, there: tuple[Board, SshTarget], files: dict[str, str], tmp_path: Path) -> None:
        there_file, here_file = str(tmp_path / "there.npy"), str(tmp_path / "here.npy")
        told: list[tuple[int, int]] = []
        answer = there[1].run({**files, "job": "predict", "outputs": there_file}, RUNTIME, lambda done, total: told.append((done, total)))
        assert find_target("local").run({**files, "job": "predict", "outputs": here_file}, RUNTIME)["runtime_version"] == answer["runtime_version"]
        np.testing.assert_array_equal(np.load(there_file), np.load(here_file))
        assert told[-1] == (96, 96)
        assert not list(tmp_path.glob("*.part"))

    def test_every_kind_of_output_comes_back(self, there: tuple[Board, SshTarget], files: dict[str, str]) -> None:
        tensors = there[1].run({**files, "job": "tensors"}, RUNTIME)["tensors"]
        assert len(np.load(files["outputs"]).files) == len(tensors) > 2

    def test_a_file_travels_once(self, there: tuple[Board, SshTarget], files: dict[str, str]) -> None:
        job = {"job": "cold", "model": files["model"], "images": files["images"]}
        for _ in range(2):
            there[1].run(job, RUNTIME)
        (folder,) = there[0].left
        assert len(list(folder.rglob("images.npy"))) == 1

    def test_a_crash_is_the_models_fault_not_the_connections(self, there: tuple[Board, SshTarget], files: dict[str, str]) -> None:
        worker = there[1].start({**files, "job": "time", "models": [files["model"]]}, RUNTIME)
        with worker:
            worker.receive()
            os.kill(there[0].running("pyz job"), signal.SIGSEGV)
            with pytest.raises(RuntimeProblem, match=r"\(time on tflite-runtime\) on ssh://127.0.0.1:\d+ was ended by SIGSEGV"):
                worker.receive()

    def test_golden_vectors_are_compared_there(
        self, there: tuple[Board, SshTarget], files: dict[str, str], tiny_images: np.ndarray, tmp_path: Path
    ) -> None:
        there[1].run({**files, "job": "predict", "outputs": str(tmp_path / "out.npy")}, RUNTIME)
        raw = np.load(tmp_path / "out.npy")
        name = Path(files["model"]).name
        for answers, passed in ((raw, True), (np.roll(raw, 1, axis=1), False)):
            golden = GoldenVectors.of(tiny_images, raw.argmax(axis=1), {name: {f"{RUNTIME}/default": answers}})
            np.savez(tmp_path / f"{passed}.golden.npz", **golden.to_arrays())
            job = {"job": "selftest", "model": files["model"], "golden": str(tmp_path / f"{passed}.golden.npz")}
            assert there[1].run(job, RUNTIME)["passed"] is passed

    def test_it_tells_what_it_is(self, there: tuple[Board, SshTarget]) -> None:
        with there[1].watch() as worker:
            facts = worker.receive()
            worker.send({})
            assert worker.receive()["reading"].keys() == {"clock_khz", "temperature_c", "cooling"}
            assert worker.result()["reading"].keys() == {"clock_khz", "temperature_c", "cooling", "throttled"}
        assert facts["host"]["python"] == ".".join(map(str, sys.version_info[:3]))
        assert machine_of(there[1]) == boot_id() == machine_of(find_target("local"))

    def test_what_lies_there_for_a_day_is_swept(self, there: tuple[Board, SshTarget], supply_here: Supply) -> None:
        places = [there[0].disk / place / f"{PREFIX}{age}" for place in ("run", "home/.cache") for age in ("old", "new")]
        for place in places:
            place.mkdir()
            (place / "file").touch()
            age = 2 * private_folder.STALE_SECONDS if place.name.endswith("old") else 0
            os.utime(place, (time.time() - age, time.time() - age))
        with SshTarget(there[0].name, supply_here):
            assert [place.exists() for place in places] == [False, True, False, True]
        for place in places[1::2]:
            shutil.rmtree(place)


def _said(board: Board, supply: Supply) -> str:
    """What a visit that fails says, and that it left nothing."""
    with pytest.raises(TargetError) as caught, opened([board.name], supply, [RUNTIME], say=lambda text: None):
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
    with opened([board.name], supply_here, [RUNTIME], say=lambda text: None) as (target,):
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
    with opened([board.name], supply_here, [RUNTIME], say=lambda text: None) as (target,):
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


def test_several_boards_at_once_and_one_machine_in_turn(boards: tuple[Board, Board], supply_here: Supply, new_console: Any) -> None:
    meeting = threading.Barrier(2)
    with opened([board.name for board in boards], supply_here, [RUNTIME], say=lambda text: None) as targets:
        assert on_all(targets, new_console(), "Meeting", lambda target, progress: meeting.wait(20) >= 0) == [True, True]
        running: list[str] = []

        def alone(target: Any, progress: Any) -> list[str]:
            running.append(target.name)
            seen = list(running)
            time.sleep(0.2)
            running.remove(target.name)
            return seen

        assert on_all(targets, new_console(), "Timing", alone, apart=machine_of) == [[target.name] for target in targets]
    assert all(board.left == [] for board in boards)


def test_one_that_fails_stops_no_other(boards: tuple[Board, Board], new_console: Any) -> None:
    targets = [find_target(board.name) for board in boards]
    ended = []

    def work(target: Any, progress: Any) -> None:
        if target is targets[0]:
            raise TargetError("lost")
        time.sleep(0.2)
        ended.append(target.name)

    with pytest.raises(TargetError, match="lost"):
        on_all(targets, new_console(), "Work", work)
    assert ended == [targets[1].name]
