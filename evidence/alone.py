"""Each format on each runtime that opens it, timed in a process of its own: tflite-runtime and TensorFlow cannot share one."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge_runtime.errors import RuntimeProblem
from edge_runtime.interpreter import RUNTIMES
from edgeproof.workspace import Workspace
from evidence.findings import ROOT


def timed_alone(module: str, workspace: Workspace, formats: Sequence[str], rounds: int, images: int) -> list[tuple[str, str, np.ndarray]]:
    """(format, runtime, medians float [ways, rounds]) of what that module's `measure_here(model, runtime, images_file, rounds)` prints as JSON
    [rounds, ways], on the first validation images. RuntimeProblem when it fails.
    """
    artifacts = {artifact.format: artifact.path for artifact in workspace.artifacts()}
    with tempfile.TemporaryDirectory(prefix="edgeproof-") as folder:
        file = Path(folder) / "images.npy"
        np.save(file, workspace.read_arrays("validation.npz")["images"][:images])
        able = [(format, runtime) for format in formats for runtime in RUNTIMES.values() if runtime.suffix == artifacts[format].suffix]
        return [(format, runtime.name, _medians(module, artifacts[format], runtime.name, file, rounds)) for format, runtime in able]


def _medians(module: str, model: Path, runtime: str, images: Path, rounds: int) -> np.ndarray:
    program = f"import sys; from {module} import measure_here; measure_here(*sys.argv[1:])"
    command = [sys.executable, "-c", program, str(model), runtime, str(images), str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)  # evidence is not installed: found from there
    if done.returncode:
        raise RuntimeProblem(f"Timing {model.name} on {runtime} failed: {done.stderr.strip().splitlines()[-1]}")
    return np.array(json.loads(done.stdout.splitlines()[-1])).T
