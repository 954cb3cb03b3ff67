"""A simulated board for tests, and why there is none where there is none. What it is made of comes from the user's cache, or goes there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from benchmarks.targets import find_target
from benchmarks.targets.base import Supply
from benchmarks.targets.programs import PACKAGES, missing
from benchmarks.targets.simulated import SimulatedTarget
from edge_runtime.errors import EdgeproofError
from edgeproof.cache import cache_folder
from tests.pipelines import Run, run

RUNTIME = "ai-edge-litert"


@pytest.fixture(scope="session")
def pi4(supply_here: Supply) -> SimulatedTarget:
    """sim-pi4 with its system and one runtime."""
    if lacking := missing(PACKAGES):
        pytest.skip(f"a simulated board needs {', '.join(lacking)}, not installed here")
    target = find_target("sim-pi4", supply_here, cache_folder())
    assert isinstance(target, SimulatedTarget)
    try:
        target.system(), target.packages(RUNTIME)
    except EdgeproofError as error:
        pytest.skip(f"the board's packages or wheels cannot be fetched: {error}")
    return target


@pytest.fixture(scope="session")
def judged_on_pi4(pi4: SimulatedTarget, tiny_artifacts: Mapping[str, Path], tiny_images: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """`edgeproof parity --on local --on sim-pi4` of two tiny exports, in a folder of its own."""
    folder = tmp_path_factory.mktemp("pi4")
    np.savez(folder / "some.npz", images=tiny_images, labels=np.arange(len(tiny_images)) % 3)
    for format in ("tflite-float32", "tflite-int8"):
        shutil.copy(tiny_artifacts[format], folder)
    exports = ("--baseline", "tiny-tflite-float32.tflite", "--export", "tiny-tflite-int8.tflite", "tiny-tflite-float32.tflite")
    places = ("--on", "local", "--on", "sim-pi4", "--runtime", RUNTIME, "--kernels", "default")
    return run("parity", *exports, "--data", "some.npz", *places, "--max-drop", "20", "-w", "w", cwd=folder, workspace=folder / "w")


def emulators(session: int) -> list[str]:
    """Command lines of the emulators that run in a session of processes."""
    lines = []
    for entry in filter(lambda entry: entry.name.isdigit(), Path("/proc").iterdir()):
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if "qemu-aarch64" in line and os.getsid(int(entry.name)) == session:
                lines.append(line)
        except OSError:  # it has just ended
            continue
    return lines
