"""Where the answers of the device's command line go: closed, full, read no further, or without the letters."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def folder(tiny_images: np.ndarray, tmp_path: Path) -> Path:
    """Where the user stands."""
    np.save(tmp_path / "photo.npy", tiny_images[0, ..., 0])
    return tmp_path


def in_shell(folder: Path, command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`EDGE` in the command stands for the program; the exit code is the first of a pipe's that is not 0."""
    line = f"set -o pipefail; {command.replace('EDGE', f'{sys.executable} -m edge_runtime')}"
    return subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, text=True, env={**os.environ, **environment})


@pytest.mark.parametrize(
    ("redirected", "code", "said"),
    [
        (">/dev/full", 2, "No space left on device"),
        ("| true", 141, ""),
        (">&-", 0, ""),
        ("2>&-", 0, ""),
        (">&- 2>&-", 0, ""),
    ],
)
def test_output_that_nobody_takes_is_no_traceback(folder: Path, tiny_artifacts: dict[str, Path], redirected: str, code: int, said: str) -> None:
    done = in_shell(folder, f"EDGE classify photo.npy --model {tiny_artifacts['onnx-int8']} {redirected}")
    assert done.returncode == code, done.stderr
    assert len(done.stderr.splitlines()) == bool(said)
    assert said in done.stderr


def test_a_terminal_without_the_letters_gets_question_marks(folder: Path, tiny_artifacts: dict[str, Path]) -> None:
    (folder / "photo.npy").rename(folder / "µ.npy")
    done = in_shell(folder, f"EDGE classify µ.npy --model {tiny_artifacts['onnx-int8']}", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stdout[:7]) == (0, "?.npy: "), done.stderr


def test_a_disk_that_is_full_is_one_line(folder: Path, tiny_artifacts: dict[str, Path], tiny_images: np.ndarray) -> None:
    np.save(folder / "images.npy", np.tile(tiny_images, (4, 1, 1, 1)))
    done = in_shell(folder, f"ulimit -f 1; EDGE bench --model {tiny_artifacts['onnx-int8']} --images images.npy")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), done.stderr
    assert "requested and 896 written): is the disk full?" in done.stderr
