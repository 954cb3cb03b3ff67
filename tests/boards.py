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

SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
PROGRAMS = ("sh", "env", "cat", "mkdir", "mv", "ln", "sleep")  # what a target may use, and the tests
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
SetEnv PATH={folder}/bin HOME={folder}/home XDG_RUNTIME_DIR={folder}/run XDG_CACHE_HOME={folder}/home/.cache TMPDIR={folder}/home
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
    def client(self) -> str:
        """For EDGEPROOF_SSH."""
        return f"ssh -F {self.folder}/client -o ConnectTimeout=5"

    @property
    def left(self) -> list[Path]:
        """Whatever of ours lies there."""
        return [path for place in ("run", "home", "home/.cache") for path in (self.folder / place).glob("edgeproof-*")]

    def wait_until_left(self, count: int, seconds: float = 20) -> bool:
        """Whether so many folders of ours lie there before the time is up."""
        until = time.monotonic() + seconds
        while len(self.left) != count and time.monotonic() < until:
            time.sleep(0.02)
        return len(self.left) == count

    def sessions(self) -> list[tuple[int, str]]:
        """(process of sshd, what runs in it) of each connection, by the children of the children of the listening one."""
        found = []
        for process in _descendants(self.process.pid):
            command = _command(process)
            if not command.startswith("sshd: ") and _command(_parent(process)).startswith("sshd: "):
                found.append((_parent(process), command))
        return found

    def kill_session(self, holding: Callable[[str], bool]) -> None:
        """End the connection in which such a command runs, as a broken network would."""
        (process,) = {process for process, command in self.sessions() if holding(command)}
        os.kill(process, signal.SIGKILL)

    def stop(self) -> None:
        for process in [*_descendants(self.process.pid), self.process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.process.wait()


def start_board(folder: Path, python: str = os.path.realpath(sys.executable)) -> Board:
    """A board in a folder of its own; the test is skipped where there is no sshd."""
    if SSHD is None:
        pytest.skip("no sshd here: install openssh-server")
    for place in ("bin", "home/.cache", "run"):
        (folder / place).mkdir(parents=True)
    for name in PROGRAMS:
        (folder / "bin" / name).symlink_to(str(shutil.which(name)))
    (folder / "bin" / "python3").symlink_to(python)
    for key in ("host_key", "user_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
    port = _free_port()
    host_key = (folder / "host_key.pub").read_text()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}")
    (folder / "client").write_text(_CLIENT.format(folder=folder))
    (folder / "sshd").write_text(_CONFIG.format(folder=folder, port=port))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where a privileged sshd locks itself in
    with (folder / "log").open("wb") as log:
        board = Board(folder, port, subprocess.Popen([SSHD, "-D", "-e", "-f", folder / "sshd"], stderr=log))
    _wait_for(port, folder / "log")
    return board


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    """A board that `ssh` reaches, and its keys known."""
    board = start_board(tmp_path / "board")
    monkeypatch.setenv("EDGEPROOF_SSH", board.client)
    yield board
    board.stop()


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
        for child in map(int, task.read_text().split()):
            found += [child, *_descendants(child)]
    return found


def _command(process: int) -> str:
    return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")


def _parent(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
