"""What `[check]` alone costs: its size in a fresh environment, and how soon `edgeproof check` answers."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from evidence.findings import ROOT, Finding, Places

MOST_BYTES, MOST_SECONDS, RUNS = 450_000_000, 1.0, 10
FORMATS = ("tflite-int8", "onnx-int8")
_NOT_SOURCE = shutil.ignore_patterns(".*", "runs", "build", "dist", "*.egg-info", "__pycache__")


def prove(places: Places) -> list[Finding]:
    command = places.command("check-alone")
    files = {artifact.format: artifact.path for artifact in places.workspaces["compact"].artifacts()}
    with tempfile.TemporaryDirectory(prefix="edgeproof-") as folder:
        environment = install(Path(folder))
        findings = [size(environment, command)]
        findings += [answers_soon(environment, files[format], command) for format in FORMATS]
    return findings


def install(folder: Path) -> Path:
    """A fresh environment with `[check]` of a copy of this clone (building a wheel leaves files beside the source)."""
    source, environment = folder / "source", folder / "venv"
    shutil.copytree(ROOT, source, ignore=_NOT_SOURCE)
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    pip = [str(environment / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-c", str(ROOT / "constraints.txt"), f"{source}[check]"], check=True)
    return environment


def size(environment: Path, command: str) -> Finding:
    (packages,) = environment.glob("lib/python*/site-packages")
    total = sum(file.stat().st_size for file in packages.rglob("*") if file.is_file())
    return Finding(
        "Installing [check] alone into a fresh environment: everything in site-packages, pip and compiled files included",
        f"≤ {MOST_BYTES / 1e6:.0f} MB",
        f"{total / 1e6:.0f} MB",
        total <= MOST_BYTES,
        command,
    )


def answers_soon(environment: Path, file: Path, command: str) -> Finding:
    seconds, last = [], ""
    for _ in range(RUNS):
        begin = time.perf_counter()
        done = subprocess.run([environment / "bin/edgeproof", "check", file], capture_output=True, text=True, cwd=environment)
        seconds.append(time.perf_counter() - begin)
        if done.returncode:
            last = f"; exit code {done.returncode}: {(done.stderr or done.stdout).strip().splitlines()[-1]}"
    return Finding(
        f"edgeproof check {file.name} with [check] alone, median of {RUNS} starts",
        f"≤ {MOST_SECONDS:g} s",
        f"{statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f}){last}",
        statistics.median(seconds) <= MOST_SECONDS and not last,
        command,
    )
