"""The board behind ssh, job by job: what it answers, what it says when something is missing, what it leaves."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.targets import find_target, machine_of
from benchmarks.targets.address import Address
from benchmarks.targets.base import Supply
from benchmarks.targets.openssh import OpenSsh
from benchmarks.targets.ssh import SshTarget
from edge_runtime import private_folder
from edge_runtime.errors import InputError, RuntimeProblem, TargetError
from edge_runtime.golden import GoldenVectors
from edge_runtime.machine import Machine
from edge_runtime.private_folder import PREFIX, boot_id
from edgeproof.stages.side_by_side import on_all
from tests.boards import RUNTIME, Board, start_board


def no_supply(machine: Machine, runtime: str) -> Path:
    raise AssertionError("nothing is built for this")


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
        find_target(f"ssh://{host}", no_supply, Path())


def test_options_stand_before_the_destination(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEPROOF_SSH", "my-ssh -F 'a file'")
    command = OpenSsh(Address.parse("ssh://me@pi:7")).command("true")
    assert command[:3] == ["my-ssh", "-F", "a file"]
    assert command[-6:] == ["-l", "me", "-p", "7", "pi", "true"]
    assert {"BatchMode=yes", "ForwardAgent=no", "ForwardX11=no"} <= set(command)


@pytest.mark.parametrize("checking", ["no", "accept-new"])
def test_an_unknown_host_key_is_refused_whatever_the_users_configuration_says(board: Board, supply_here: Supply, checking: str) -> None:
    with (board.folder / "client").open("a") as file:
        file.write(f"    StrictHostKeyChecking {checking}\n")
    (board.folder / "known_hosts").write_text("")
    with pytest.raises(TargetError, match="is not known here"), SshTarget(board.name, supply_here):
        pass
    assert (board.folder / "known_hosts").read_text() == ""


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
            process = there[0].running("pyz job")
            (folder,) = there[0].left
            variables = Path(f"/proc/{process}/environ").read_text().split("\0")
            assert f"XDG_CACHE_HOME={folder}/cache" in variables, "what libraries keep goes with the folder"
            os.kill(process, signal.SIGSEGV)
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


def test_several_boards_at_once_and_one_machine_in_turn(boards: tuple[Board, Board], supply_here: Supply, new_console: Any) -> None:
    meeting = threading.Barrier(2)
    with SshTarget(boards[0].name, supply_here) as first, SshTarget(boards[1].name, supply_here) as second:
        targets = [first, second]
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
    targets = [SshTarget(board.name, no_supply) for board in boards]
    ended = []

    def work(target: Any, progress: Any) -> None:
        if target is targets[0]:
            raise TargetError("lost")
        time.sleep(0.2)
        ended.append(target.name)

    with pytest.raises(TargetError, match="lost"):
        on_all(targets, new_console(), "Work", work)
    assert ended == [targets[1].name]
