"""The device side on the Pythons that boards come with: each in an environment of its own, with its runtime and numpy and nothing else."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.golden import GoldenVectors
from edge_runtime.worker import run_in_subprocess
from tests.wheels import CACHE

ROOT = Path(__file__).parent.parent
# Python, what its environment holds, the runtime that must be taken there: Raspberry Pi OS has 3.11 in Bookworm and 3.13 in Trixie.
BOARDS = [
    ("3.11", ("tflite-runtime==2.14.0", "numpy<2"), "tflite-runtime"),
    ("3.12", ("ai-edge-litert", "numpy"), "ai-edge-litert"),
    ("3.13", ("ai-edge-litert", "numpy"), "ai-edge-litert"),
]
INSTALL_SECONDS = 300


def environment(version: str, packages: tuple[str, ...]) -> Path:
    """The Python of a virtual environment with these packages, made once and kept in the cache; skipped where it cannot be made."""
    python = sys.executable if sys.version_info[:2] == tuple(map(int, version.split("."))) else shutil.which(f"python{version}")
    # A shim of a version manager is found, too, where that version is not chosen; only a start tells.
    if not python or subprocess.run([python, "-c", "import venv, ensurepip"], capture_output=True).returncode:
        pytest.skip(f"no Python {version} that works on PATH")
    name = hashlib.sha256(f"{Path(python).resolve()} {packages}".encode()).hexdigest()
    folder = CACHE / "test-environments" / name
    if not (folder / "whole").exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([python, "-m", "venv", str(folder)], check=True, capture_output=True)
        install = [folder / "bin/python", "-m", "pip", "install", "--quiet", "--only-binary=:all:", *packages]
        done = subprocess.run(install, capture_output=True, text=True, timeout=INSTALL_SECONDS)
        if done.returncode:
            pytest.skip(f"pip cannot install {' '.join(packages)} for Python {version}: {done.stderr.strip().splitlines()[-1]}")
        (folder / "whole").touch()  # environments cannot be made beside and renamed: their scripts name the folder
    return folder / "bin/python"


@pytest.mark.timeout(INSTALL_SECONDS + 60)
@pytest.mark.parametrize(("version", "packages", "runtime"), BOARDS)
def test_classify_selftest_and_doctor(
    version: str, packages: tuple[str, ...], runtime: str, tiny_artifacts: dict[str, Path], tiny_images: np.ndarray, tmp_path: Path
) -> None:
    python, model = environment(version, packages), tiny_artifacts["tflite-int8"]
    np.save(tmp_path / "photo.npy", tiny_images[0, ..., 0])
    np.save(tmp_path / "images.npy", tiny_images)
    job = {"job": "predict", "model": str(model), "images": str(tmp_path / "images.npy"), "outputs": str(tmp_path / "outputs.npy")}
    run_in_subprocess(job, runtime)
    outputs = np.load(tmp_path / "outputs.npy")
    golden = GoldenVectors.of(tiny_images, outputs.argmax(axis=1), {model.name: {f"{runtime}/default": outputs}})
    np.savez(tmp_path / "golden.npz", **golden.to_arrays())

    def edge_runtime(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(python), "-W", "error", "-m", "edge_runtime", *arguments, "--model", str(model)]
        return subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)

    classified = edge_runtime("classify", "photo.npy", "--json")
    assert (classified.returncode, classified.stderr) == (0, "")
    answer = json.loads(classified.stdout)
    assert (answer["runtime"], answer["top"][0]["label"]) == (runtime, "abc"[outputs[0].argmax()])
    assert edge_runtime("selftest", "--golden", "golden.npz").stdout.startswith("PASS: 96 golden images, 0 labels differ")
    examined = json.loads(edge_runtime("doctor", "--json").stdout)
    assert (examined["python"].rpartition(".")[0], examined["fit"]) == (version, True)
    assert {one["name"] for one in examined["runtimes"] if one["works"]} == {runtime}
