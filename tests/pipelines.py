"""Real runs of the whole pipeline that many tests look at: made once a session, outside the clone, through the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

EDGEPROOF = (sys.executable, "-P", "-m", "edgeproof")


@dataclass(frozen=True)
class Run:
    """One finished command."""

    workspace: Path
    code: int
    stdout: str
    stderr: str
    peak_bytes: int
    seconds: float

    def json(self, name: str) -> dict[str, Any]:
        return dict(json.loads((self.workspace / name).read_text()))


def run(*arguments: str | Path, cwd: Path, workspace: Path | None = None, command: Sequence[str] = EDGEPROOF) -> Run:
    """Run a command to its end in `cwd` and measure its peak memory (children not included)."""
    begin = time.perf_counter()
    with (cwd / "stdout.txt").open("w+") as out, (cwd / "stderr.txt").open("w+") as err:
        process = subprocess.Popen([*command, *map(str, arguments)], cwd=cwd, stdout=out, stderr=err, stdin=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        stdout, stderr = out.read(), err.read()
    for name in ("stdout.txt", "stderr.txt"):
        (cwd / name).unlink()
    return Run(workspace or cwd, process.returncode, stdout, stderr, usage.ru_maxrss * 1024, time.perf_counter() - begin)


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """`edgeproof run` on the 42,000 digits, with two epochs instead of the recipe's."""
    folder = tmp_path_factory.mktemp("digits")
    return run("run", "-w", "w", "--epochs", "2", "--seconds", "0.3", cwd=folder, workspace=folder / "w")


@pytest.fixture(scope="session")
def twin_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stranger's model and pictures: see tests/twin.py."""
    folder = tmp_path_factory.mktemp("twin")
    root = Path(__file__).parent.parent
    subprocess.run([sys.executable, "-m", "tests.twin", str(folder)], cwd=root, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def twin_run(twin_folder: Path) -> Run:
    """`edgeproof run --model stranger.h5 --data pictures`, with a margin that its 252 validation images can certify."""
    arguments = ("--model", "stranger.h5", "--data", "pictures", "-w", "w", "--max-drop", "4", "--seconds", "0.2")
    return run("run", *arguments, cwd=twin_folder, workspace=twin_folder / "w")
