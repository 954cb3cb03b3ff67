"""The full matrix, formats × runtimes × kernels, on all 8,400 validation images: verdicts and the time they take."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.matrix import able_runtimes
from edge_runtime.errors import EdgeproofError
from edgeproof.workspace import Workspace
from evidence.findings import Finding, Places

TFLITE = ("tflite-float32", "tflite-float16", "tflite-dynamic", "tflite-int8", "tflite-int8-ptq", "tflite-int16x8")
FORMATS = (*TFLITE, "onnx-float32", "onnx-int8")
IMAGES, MARGIN_PP = 8400, 0.25
MOST_SECONDS, MOST_SECONDS_ALONE, REPEATS = 60.0, 3.0, 3
_UNUSED = shutil.ignore_patterns("latency", "outputs", "figures")


def prove(places: Places) -> list[Finding]:
    command = places.command("matrix")
    findings = []
    for name, workspace in places.workspaces.items():
        with tempfile.TemporaryDirectory(prefix="edgeproof-") as folder:
            copy = with_all_formats(workspace, Path(folder) / name)
            seconds = judge(copy)
            rows = copy.read_json("parity.json")["rows"]
            findings.append(verdicts(name, rows, command))
            if name == "compact":
                findings.append(full_matrix(rows, seconds, command))
                findings.append(alone(copy, FORMATS, command))
    return findings


def with_all_formats(workspace: Workspace, path: Path) -> Workspace:
    """A copy of the workspace, in which formats that it lacks are exported."""
    workspace.require("artifacts/manifest.json")
    shutil.copytree(workspace.path, path, ignore=_UNUSED)
    copy = Workspace(path)
    if set(FORMATS) - {artifact.format for artifact in copy.artifacts()}:
        _edgeproof("export", "all", "-w", str(path))  # one that fails is missing from the rows
    return copy


def judge(workspace: Workspace, *options: str) -> float:
    """Run `edgeproof parity`; seconds from start to end of the command."""
    begin = time.perf_counter()
    done = _edgeproof("parity", "-w", str(workspace.path), *options)
    seconds = time.perf_counter() - begin
    if done.returncode not in (0, 1, 3):  # PASS, FAIL, INCONCLUSIVE
        raise EdgeproofError(f"edgeproof parity stopped with exit code {done.returncode}: {done.stderr.strip().splitlines()[-1]}")
    return seconds


def _edgeproof(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "edgeproof", *arguments], capture_output=True, text=True)


def verdicts(name: str, rows: list[dict[str, Any]], command: str) -> Finding:
    promised = [format for format in FORMATS if "-int8" in format]
    judged = [row for row in rows if row["gates"] and row["format"] in promised]
    passed = [row for row in judged if row["verdict"] == "PASS" and row["images"] == IMAGES]
    missing = sorted(set(promised) - {row["format"] for row in judged})
    worst = max((row["drop_upper_pp"] for row in judged if row["drop_upper_pp"] is not None), default=float("nan"))
    others = [f"{row['format']} on {row['runtime']} {row['kernels']}: {row['verdict']}" for row in judged if row not in passed]
    lacking = f"; not exported: {', '.join(missing)}" if missing else ""
    failing = f"; {', '.join(others)}" if others else ""
    return Finding(
        f"{name}: every gating row of all int8 formats ({', '.join(promised)}) PASS at {MARGIN_PP:g} pp on {IMAGES:,} images",
        "all rows",
        f"{len(passed)} of {len(judged)} rows; largest upper bound of the drop {worst:.2f} pp{lacking}{failing}",
        len(passed) == len(judged) and not missing,
        command,
    )


def full_matrix(rows: list[dict[str, Any]], seconds: float, command: str) -> Finding:
    formats = {row["format"] for row in rows} & set(FORMATS)
    kernels = Counter(row["kernels"] for row in rows)
    kinds = ", ".join(f"{count} {name}" for name, count in kernels.items())
    return Finding(
        "compact: the full matrix of 8 formats, from the start of edgeproof parity to its end",
        f"≤ {MOST_SECONDS:g} s",
        f"{seconds:.0f} s for {len(rows)} rows of {len(formats)} formats (kernels: {kinds})",
        seconds <= MOST_SECONDS and formats == set(FORMATS) and set(kernels) == {"default", "builtin", "reference"},
        command,
    )


def alone(workspace: Workspace, formats: Sequence[str], command: str, repeats: int = REPEATS) -> Finding:
    """Each artifact on each of its runtimes, default kernels. Start-up is what the same command takes on a single image: Python, imports,
    the worker, the reports."""
    seconds: dict[str, float] = {}
    start_ups: dict[str, float] = {}
    for artifact in workspace.artifacts():
        if artifact.format in formats:
            with tempfile.TemporaryDirectory(prefix="edgeproof-") as folder:
                whole, single = (_with_one(workspace, artifact.format, Path(folder) / name) for name in ("whole", "single"))
                single.write_arrays("validation.npz", {name: array[:1] for name, array in single.read_arrays("validation.npz").items()})
                for runtime in able_runtimes(artifact):
                    one = ("--runtime", runtime, "--kernels", "default")
                    pairs = [(judge(whole, *one), judge(single, *one)) for _ in range(repeats)]
                    total, start_up = (statistics.median(column) for column in zip(*pairs, strict=True))
                    seconds[f"{artifact.format} on {runtime}"], start_ups[runtime] = total - start_up, start_up
    slowest = max(seconds, key=lambda pair: seconds[pair])
    return Finding(
        f"compact: one artifact on one runtime, {IMAGES:,} images, without start-up (the same command on 1 image; medians of {repeats})",
        f"≤ {MOST_SECONDS_ALONE:g} s",
        f"{min(seconds.values()):.1f} to {seconds[slowest]:.1f} s; slowest of {len(seconds)}: {slowest}; start-up "
        f"{min(start_ups.values()):.1f} to {max(start_ups.values()):.1f} s",
        seconds[slowest] <= MOST_SECONDS_ALONE,
        command,
    )


def _with_one(workspace: Workspace, format: str, path: Path) -> Workspace:
    """A copy whose manifest lists the one artifact of that format."""
    shutil.copytree(workspace.path, path, ignore=_UNUSED)
    copy = Workspace(path)
    manifest = copy.read_json("artifacts/manifest.json")
    only = {name: facts for name, facts in manifest["artifacts"].items() if facts["format"] == format}
    copy.write_json("artifacts/manifest.json", {**manifest, "artifacts": only})
    return copy
