"""Runs new artifacts before they are kept: on every runtime that they claim, and over the images that betray faults best."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.matrix import Artifact, cells, collect
from benchmarks.outputs import Outputs
from benchmarks.targets import find_target
from edge_runtime.golden import GoldenVectors, choose_golden
from edgeproof.console import Console
from edgeproof.workspace import Workspace


def run_all(workspace: Workspace, console: Console, artifacts: Sequence[Artifact]) -> list[Outputs]:
    """Each artifact's answers to the validation images on every runtime it is for, each in that runtime's own process."""
    images = workspace.read_arrays("validation.npz")["images"]
    with console.progress("Trying each file on its runtimes") as progress:
        return collect(cells(artifacts, kernels=["default"]), images, find_target("local"), progress=progress)


def refused(tried: Sequence[Outputs]) -> dict[str, str]:
    """Why an artifact cannot be kept: a runtime that it claims cannot run it, or none is here to try it."""
    reasons = {}
    for name in dict.fromkeys(outputs.artifact for outputs in tried):
        own = [outputs for outputs in tried if outputs.artifact == name]
        broken = [outputs.reason for outputs in own if outputs.raw is None and outputs.claimed]
        if broken:
            reasons[name] = broken[0]
        elif all(outputs.raw is None for outputs in own):
            reasons[name] = f"it could not be tried ({own[0].reason}): see `edgeproof doctor`."
    return reasons


def golden_vectors(workspace: Workspace, console: Console, artifacts: Sequence[Artifact], tried: Sequence[Outputs]) -> GoldenVectors:
    """Choose the images by what all artifacts answered when they were tried, then record what each answers to them, on every runtime and kernels."""
    validation = workspace.read_arrays("validation.npz")
    answers = [outputs.raw for outputs in tried if outputs.raw is not None and outputs.limit is None]
    answers += [validation[name] for name in ("folded_probabilities", "qat_probabilities") if name in validation]
    chosen = choose_golden(validation["images"], validation["labels"], validation["baseline_probabilities"], answers)
    with console.progress("Golden vectors") as progress:
        outputs = collect(cells(artifacts), validation["images"][chosen], find_target("local"), progress=progress)
    return GoldenVectors.of(validation["images"][chosen], validation["labels"][chosen], _answered(outputs))


def _answered(outputs: Sequence[Outputs]) -> dict[str, dict[str, np.ndarray]]:
    """Raw outputs by artifact and "runtime/kernels", the expected ones first."""
    answered: dict[str, dict[str, np.ndarray]] = {}
    for one in outputs:
        if one.raw is not None:
            answered.setdefault(one.artifact, {})[f"{one.runtime}/{one.kernels}"] = one.raw
    return answered
