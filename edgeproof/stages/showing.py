"""Stage 6: one page and one table out of everything measured."""

from __future__ import annotations

from pathlib import Path

from benchmarks.outputs import file_part
from benchmarks.reports.summary import Recommendation, SummaryRow, recommend, summarize
from benchmarks.results import LatencyResult, read_result
from benchmarks.validity import INVALID
from edge_runtime.errors import InputError
from edgeproof.console import Console
from edgeproof.workspace import Workspace


def build_dashboard(workspace: Workspace, console: Console) -> Path:
    """Write `dashboard.html` from the parity report and the newest latency results."""
    from benchmarks.dashboard import Validation, render
    from benchmarks.outputs import Outputs, from_arrays, outputs_file

    parity = workspace.read_json("parity.json")
    manifest = workspace.read_json("artifacts/manifest.json")
    dataset = workspace.read_json("dataset.json")
    training = workspace.read_json("training.json")
    validation = workspace.read_arrays("validation.npz")
    latency = results_of(workspace, console)

    def outputs(row: int) -> Outputs:
        return from_arrays(workspace.read_arrays(outputs_file(**parity["rows"][row])))

    with console.progress("Dashboard"):
        page = render(
            parity=parity,
            manifest=manifest,
            dataset=dataset,
            training=training,
            latency=latency,
            validation=Validation(validation["images"], validation["labels"], validation["baseline_probabilities"]),
            outputs=outputs,
        )
        return workspace.write_text("dashboard.html", page)


def summary(workspace: Workspace, console: Console) -> tuple[list[SummaryRow], Recommendation]:
    """The rows of the result table, and which file to ship."""
    parity, manifest = workspace.read_json("parity.json"), workspace.read_json("artifacts/manifest.json")
    rows = summarize(parity, manifest, results_of(workspace, console))
    return rows, recommend(rows, manifest, parity["margin_pp"])


def results_of(workspace: Workspace, console: Console, target: str = "local") -> list[LatencyResult]:
    """The readable latency results of a target, newest first; the others, and those that are INVALID, are named and left out."""
    results = []
    for path in sorted((workspace / "latency").glob(f"{file_part(target)}-????????T??????Z.json"), reverse=True):
        try:
            result = read_result(path)
        except InputError as error:
            console.say(f"left out: {error}")
            continue
        if result.validity.startswith(INVALID):
            console.say(f"left out: {path} is {result.validity}")
        else:
            results.append(result)
    return results
