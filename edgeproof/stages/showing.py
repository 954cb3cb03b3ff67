"""Stage 6: one page and one table out of everything measured."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.reports.summary import Recommendation, SummaryRow, recommend, summarize
from edgeproof.console import Console
from edgeproof.stages.benching import results_of
from edgeproof.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np


def build_dashboard(workspace: Workspace, console: Console) -> Path:
    """Write `dashboard.html` from the parity report and the newest latency results."""
    from benchmarks.dashboard import render

    parity = workspace.read_json("parity.json")
    manifest = workspace.read_json("artifacts/manifest.json")
    dataset = workspace.read_json("dataset.json")
    training = workspace.read_json("training.json")
    validation = workspace.read_arrays("validation.npz")
    latency = results_of(workspace, console)
    with console.progress("Dashboard"):
        page = render(
            parity=parity,
            manifest=manifest,
            dataset=dataset,
            training=training,
            latency=latency,
            images=validation["images"],
            probabilities=_flip_probabilities(workspace, parity, validation["baseline_probabilities"]),
        )
        return workspace.write_text("dashboard.html", page)


def summary(workspace: Workspace, console: Console) -> tuple[list[SummaryRow], Recommendation]:
    """The rows of the result table, and which file to ship."""
    parity, manifest = workspace.read_json("parity.json"), workspace.read_json("artifacts/manifest.json")
    rows = summarize(parity, manifest, results_of(workspace, console))
    return rows, recommend(rows, manifest, parity["margin_pp"])


def _flip_probabilities(workspace: Workspace, parity: Mapping[str, Any], baseline: np.ndarray) -> dict[int, list[tuple[list[float], list[float]]]]:
    """For each parity row that flipped anything: the (baseline, export) probabilities of its flips, in their order."""
    from benchmarks.outputs import from_arrays, outputs_file

    flips: dict[int, list[tuple[list[float], list[float]]]] = {}
    loaded = {}
    for flip in parity["flips"]:
        name = outputs_file(**parity["rows"][flip["row"]])
        if name not in loaded:
            loaded[name] = from_arrays(workspace.read_arrays(name)).probabilities
        flips.setdefault(flip["row"], []).append((baseline[flip["index"]].tolist(), loaded[name][flip["index"]].tolist()))
    return flips
