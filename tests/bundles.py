"""Bundles for tests: built for this machine, started as a board would, with nothing of this environment."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.matrix import Artifact, cells, collect
from benchmarks.outputs import Outputs
from benchmarks.parity import Reference, judge
from benchmarks.targets import find_target
from edge_runtime.golden import GoldenVectors
from edge_runtime.machine import this_machine
from edgeproof.cache import cache_folder
from edgeproof.workspace import Workspace
from export.bundle import build_bundle
from export.platforms import TESTED

RUNTIME = "tflite-runtime" if sys.version_info < (3, 12) else "ai-edge-litert"
MARGIN_PP = 5.0  # what 96 images can certify
_FORMATS = ("tflite-float32", "tflite-int8", "tflite-dynamic", "onnx-float32", "onnx-int8")
_DAMAGED = "tflite-dynamic"  # the smallest that runs; answers at random


@pytest.fixture(scope="session")
def bundle_here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle for this machine, without a model. Its wheels come from the user's cache, or are fetched into it."""
    path = tmp_path_factory.mktemp("bundle") / "here.pyz"
    return build_bundle(this_machine(), {RUNTIME: TESTED[RUNTIME]}, path, cache=cache_folder())


@pytest.fixture(scope="session")
def bundled_workspace(tmp_path_factory: pytest.TempPathFactory, tiny_artifacts: dict[str, Path], tiny_images: np.ndarray) -> Workspace:
    """The tiny classifier exported and judged, as `export` and `parity` leave it: one format FAILs, the others PASS. Tests copy it."""
    workspace = Workspace(tmp_path_factory.mktemp("bundled") / "w")
    (workspace / "artifacts").mkdir(parents=True)
    artifacts = [_artifact(Path(shutil.copy(tiny_artifacts[format], workspace / "artifacts")), format) for format in _FORMATS]
    outputs = [_damage(answers) for answers in collect(cells(artifacts, kernels=["default"]), tiny_images, find_target("local"))]
    truth = outputs[0]
    parity = judge(Reference(truth.labels, truth.probabilities, {}), outputs, margin_pp=MARGIN_PP, baseline_sha256="cd" * 32)
    answered: dict[str, dict[str, np.ndarray]] = {}
    for answers in outputs:
        answered.setdefault(answers.artifact, {})[f"{answers.runtime}/{answers.kernels}"] = answers.answered
    workspace.write_json("parity.json", {"schema": 1, **parity.to_dict()})
    workspace.write_arrays("artifacts/tiny.golden.npz", GoldenVectors.of(tiny_images, truth.labels, answered).to_arrays())
    facts = {artifact.path.name: {k: v for k, v in asdict(artifact).items() if k != "path"} for artifact in artifacts}
    workspace.write_json("artifacts/manifest.json", {"artifacts": facts, "golden": {"file": "tiny.golden.npz"}})
    return workspace


def _artifact(path: Path, format: str) -> Artifact:
    runtimes = ("onnxruntime",) if path.suffix == ".onnx" else ("ai-edge-litert", "tflite-runtime")
    return Artifact(path, format, "folded", hashlib.sha256(path.read_bytes()).hexdigest(), runtimes, path.stat().st_size)


def _damage(answers: Outputs) -> Outputs:
    if answers.format != _DAMAGED:
        return answers
    return replace(answers, raw=np.random.default_rng(0).normal(size=answers.answered.shape).astype(answers.answered.dtype))


def start(bundle: Path, *arguments: str | Path, root: Path, given: str = "", python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    """Run a bundle in an empty environment, unpacking below `root`. The base interpreter: this environment's packages are not on its path."""
    environment = {"PATH": "/usr/bin:/bin", "SHIV_ROOT": str(root), "HOME": str(root)}
    command = [os.path.realpath(python), "-I", str(bundle), *map(str, arguments)]
    return subprocess.run(command, input=given, env=environment, capture_output=True, text=True, timeout=120)


def overridden(bundle: Path, output: Path, name: str, content: bytes) -> Path:
    """A copy of the bundle in which one file of its start has another content: of two entries, the last counts."""
    shutil.copy(bundle, output)
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(output, "a") as archive:
        archive.writestr(name, content)
    return output


def rewritten(bundle: Path, output: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """The bundle with its files as `change(name, content)` gives them; None leaves a file out."""
    with zipfile.ZipFile(bundle) as old, output.open("wb") as file:
        file.write(b"#!/usr/bin/env python3\n")
        with zipfile.ZipFile(file, "w") as new:
            for entry in old.infolist():
                content = change(entry.filename, old.read(entry))
                if content is not None:
                    new.writestr(entry, content)
    return output
