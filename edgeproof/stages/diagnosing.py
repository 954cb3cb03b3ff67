"""What works on this machine, found out in subprocesses: a broken interpreter must not take the doctor with it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
from dataclasses import dataclass

from edge_runtime.errors import RuntimeProblem
from edge_runtime.interpreter import RUNTIMES
from edge_runtime.worker import run_in_subprocess

_TOOLKIT = {
    "tensorflow": "tensorflow",
    "tf-keras": "tf_keras",
    "tensorflow-model-optimization": "tensorflow_model_optimization",
    "tf2onnx": "tf2onnx",
    "onnx": "onnx",
    "pandas": "pandas",
    "scikit-learn": "sklearn",
    "matplotlib": "matplotlib",
}
# Versions known to work together (tf-keras follows TensorFlow's minor version).
_TESTED = {"tensorflow": "2.21", "tf-keras": "2.21", "tensorflow-model-optimization": "0.8.1", "tf2onnx": "1.17"}


@dataclass(frozen=True)
class Finding:
    """One thing looked at."""

    subject: str
    works: bool
    detail: str


def examine() -> list[Finding]:
    """This machine, each runtime (imported in its own process), and the packages of the toolkit (looked up, not imported)."""
    findings = [Finding("python", True, f"{platform.python_version()}, {platform.machine()}, {len(os.sched_getaffinity(0))} cores")]
    for name in RUNTIMES:
        try:
            answer = run_in_subprocess({"job": "doctor"}, name)
            findings.append(Finding(name, True, f"{answer['runtime_version']} with numpy {answer['numpy']}"))
        except RuntimeProblem as error:
            findings.append(Finding(name, False, str(error)))
    for distribution, module in _TOOLKIT.items():
        findings.append(_package(distribution, module))
    return findings


def _package(distribution: str, module: str) -> Finding:
    if importlib.util.find_spec(module) is None:
        return Finding(distribution, False, "not installed: pip install 'edgeproof[toolkit]' to train and export")
    try:
        version = importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:  # the module is there under another distribution's name (tensorflow-cpu)
        return Finding(distribution, True, "installed under another name")
    tested = _TESTED.get(distribution)
    if tested and not version.startswith(tested):
        return Finding(distribution, False, f"{version}, tested with {tested}: pip install -c constraints.txt 'edgeproof[toolkit]'")
    return Finding(distribution, True, version)
