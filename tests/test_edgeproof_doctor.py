"""`edgeproof doctor`: which targets there are, what each lacks, and what works on those that are named."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.targets.simulated import SimulatedTarget
from edge_runtime.interpreter import RUNTIMES
from edgeproof.cache import cache_folder
from edgeproof.console import Console
from edgeproof.stages.reaching import examine_targets, kinds_of_target
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


def test_without_apt_it_names_debian_and_no_package_of_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (detail,) = {finding.detail for finding in kinds_of_target() if finding.subject.startswith("sim-")}
    assert detail == "needs qemu-user and gcc and apt and dpkg: use a Debian 12 machine or container"


def test_a_runtime_without_a_bundle_is_a_finding_and_the_others_are_tried(
    pi4: SimulatedTarget, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, new_console: Callable[..., Console]
) -> None:
    """No pip to fetch wheels with, and of the cache only the system of the board."""
    del pi4
    (tmp_path / "boards").symlink_to(cache_folder() / "boards")
    monkeypatch.setenv("EDGEPROOF_CACHE", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    findings = examine_targets(["sim-pi4"], new_console())
    assert [(finding.subject, finding.works) for finding in findings] == [(f"{runtime} on sim-pi4", False) for runtime in RUNTIMES]


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
