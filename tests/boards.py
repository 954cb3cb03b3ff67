"""Boards for tests: a real sshd on loopback with its own port, keys and folders. Python is there as `python3`, and little else."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.targets.base import Supply
from benchmarks.targets.ssh import SshTarget
from edgeproof.console import Console

SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
RUNTIME = "tflite-runtime"
PROGRAMS = ("sh", "env", "cat", "mkdir", "mv", "ln", "sleep")  # what a target may use, and the tests
PLACES = ("run", "home/.cache", "home")  # on its disk: where a folder of ours may be
SESSION = ("sshd: ", "sshd-session: ")  # how the process of a connection calls itself; the second since OpenSSH 9.8
_CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
StrictModes no
UsePAM no
PidFile none
PasswordAuthentication no
KbdInteractiveAuthentication no
SetEnv PATH={folder}/bin HOME={folder}/disk/home XDG_RUNTIME_DIR={folder}/disk/run XDG_CACHE_HOME={folder}/disk/home/.cache TMPDIR={folder}/disk/home
"""
_CLIENT = """
Host *
    UserKnownHostsFile {folder}/known_hosts
    GlobalKnownHostsFile none
    IdentityFile {folder}/user_key
    IdentitiesOnly yes
    IdentityAgent none
"""


@dataclass
class Board:
    """A running sshd."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def name(self) -> str:
        return f"ssh://127.0.0.1:{self.port}"

    @property
    def disk(self) -> Path:
        """What can be written to there."""
        return self.folder / "disk"

    @property
    def client(self) -> str:
        """For EDGEPROOF_SSH."""
        return f"ssh -F {self.folder}/client -o ConnectTimeout=5"

    @property
    def left(self) -> list[Path]:
        """Whatever of ours lies there."""
        return [path for place in PLACES for path in (self.disk / place).glob("edgeproof-*")]

    def wait_until_left(self, count: int, seconds: float = 20) -> bool:
        """Whether so many folders of ours lie there before the time is up."""
        until = time.monotonic() + seconds
        while len(self.left) != count and time.monotonic() < until:
            time.sleep(0.02)
        return len(self.left) == count

    def sessions(self) -> list[tuple[int, str]]:
        """(process of sshd, what was started in it) of each connection."""
        found = []
        for process in _descendants(self.process.pid):
            with contextlib.suppress(OSError):  # it has just ended
                parent = _parent(process)
                if not _command(process).startswith(SESSION) and _command(parent).startswith(SESSION):
                    found.append((parent, _command(process)))
        return found

    def running(self, words: str) -> int:
        """The one process there whose command line holds these words, and that started no other with them."""
        found = [process for process in _descendants(self.process.pid) if words in _command(process)]
        (last,) = [process for process in found if not set(_descendants(process)) & set(found)]
        return last

    def kill_sessions(self, holding: Callable[[str], bool]) -> None:
        """End the connections in which such commands run, as a broken network would."""
        for process in {process for process, command in self.sessions() if holding(command)}:
            os.kill(process, signal.SIGKILL)

    def stop(self) -> None:
        for process in [*_descendants(self.process.pid), self.process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.process.wait()


def start_board(folder: Path, python: str = os.path.realpath(sys.executable), config: str = "") -> Board:
    """A board in a folder of its own, with further lines of sshd's `config`; the test is skipped where there is no sshd."""
    if SSHD is None:
        pytest.skip("no sshd here: install openssh-server")
    for place in ("bin", *(f"disk/{place}" for place in PLACES)):
        (folder / place).mkdir(parents=True, exist_ok=True)
    for name in PROGRAMS:
        (folder / "bin" / name).symlink_to(str(shutil.which(name)))
    (folder / "bin" / "python3").symlink_to(python)
    for key in ("host_key", "user_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
    port = _free_port()
    host_key = (folder / "host_key.pub").read_text()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}")
    (folder / "client").write_text(_CLIENT.format(folder=folder))
    (folder / "sshd").write_text(_CONFIG.format(folder=folder, port=port) + config)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where a privileged sshd locks itself in
    with (folder / "log").open("wb") as log:
        board = Board(folder, port, subprocess.Popen([SSHD, "-D", "-e", "-f", folder / "sshd"], stderr=log))
    _wait_for(port, folder / "log")
    return board


@contextlib.contextmanager
def visit(board: Board, supply: Supply) -> Iterator[SshTarget]:
    """The board, ready to run jobs with RUNTIME."""
    with SshTarget(board.name, supply) as target:
        target.prepare([RUNTIME], say=lambda text: None)
        yield target


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    """A board that `ssh` reaches, and its keys known."""
    board = start_board(tmp_path / "board")
    monkeypatch.setenv("EDGEPROOF_SSH", board.client)
    yield board
    board.stop()


@pytest.fixture
def boards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Board, Board]]:
    """Two of them, reached with one configuration."""
    first, second = start_board(tmp_path / "first"), start_board(tmp_path / "second")
    both = (first.folder / "known_hosts").read_text() + (second.folder / "known_hosts").read_text()
    (first.folder / "known_hosts").write_text(both)
    (second.folder / "user_key.pub").write_text((first.folder / "user_key.pub").read_text())
    monkeypatch.setenv("EDGEPROOF_SSH", first.client)
    yield first, second
    first.stop()
    second.stop()


@pytest.fixture(scope="session")
def supply_here() -> Iterator[Supply]:
    """Bundles as users get them, from their cache."""
    from edgeproof.stages.bundling import supply

    console = Console()
    yield supply(console)
    console._out.file.close()
    console._err.file.close()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait_for(port: int, log: Path) -> None:
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError(log.read_text())


def _descendants(process: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # it has just ended
            for child in map(int, task.read_text().split()):
                found += [child, *_descendants(child)]
    return found


def _command(process: int) -> str:
    return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")


def _parent(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
