"""`edgeproof doctor`: which targets there are, what each lacks, and what works on those that are named."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edgeproof.stages.reaching import kinds_of_target
from tests.boards import Board


def doctor(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-P", "-m", "edgeproof", "doctor", *arguments], capture_output=True, text=True)


def test_it_names_the_packages_that_a_target_needs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for program in ("apt-get", "dpkg-deb"):
        (tmp_path / program).symlink_to(shutil.which("true") or "/bin/true")
    monkeypatch.setenv("PATH", str(tmp_path))
    findings = {finding.subject: finding for finding in kinds_of_target()}
    assert set(findings) == {"sim-pi3", "sim-zero2", "sim-pi4", "sim-pi5", "ssh://"}
    assert not any(finding.works for finding in findings.values())
    assert findings["sim-pi4"].detail == "needs qemu-user and gcc: sudo apt-get install qemu-user gcc"
    assert findings["ssh://"].detail == "needs ssh: sudo apt-get install openssh-client"


def test_it_tries_the_runtimes_of_a_board(board: Board) -> None:
    done = doctor("--on", board.name, "--json")
    findings = {finding["subject"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert findings[f"tflite-runtime on {board.name}"]["works"], done.stdout
    assert "numpy 1." in findings[f"tflite-runtime on {board.name}"]["detail"]
    assert findings[board.name]["works"]


def test_a_board_that_cannot_be_reached_is_a_finding() -> None:
    done = doctor("--on", "ssh://nobody@127.0.0.1:1")
    assert done.returncode == 1
    assert done.stdout.startswith("missing ssh://nobody@127.0.0.1:1: ")
    assert "refused" in done.stdout
    assert "Traceback" not in done.stderr


def test_an_unknown_target_is_bad_usage() -> None:
    done = doctor("--on", "sim-pi44")
    assert (done.returncode, done.stdout) == (2, "")
    assert "sim-pi4" in done.stderr
