"""Stage 6: one page and one table out of everything measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.reports.summary import Recommendation, SummaryRow, recommend, summarize
from edge_runtime.errors import InputError
from edgeproof.console import Console
from edgeproof.stages.recorded import recorded, recorded_history, recorded_layers, recorded_peers, results_of
from edgeproof.workspace import Workspace

if TYPE_CHECKING:
    from benchmarks.page.subject import Subject

PAGE = "dashboard.html"


def build_dashboard(workspace: Workspace, console: Console) -> Path:
    """Write the workspace's own `dashboard.html`."""
    return build_page([workspace], console, workspace / PAGE)


def build_page(workspaces: Sequence[Workspace], console: Console, path: Path) -> Path:
    """Write one page of all workspaces to `path`, from their parity reports and what was measured. Each needs to have been judged."""
    from benchmarks.dashboard import render

    if path.is_dir():
        raise InputError(f"Cannot write {path}: it is a folder. Name a file, such as {path / PAGE}.")
    names = _names(workspaces)
    subjects = [_subject(workspace, name, console) for workspace, name in zip(workspaces, names, strict=True)]
    with console.progress("Dashboard"):
        return Workspace(path.parent).write_text(path.name, render(subjects))


def _names(workspaces: Sequence[Workspace]) -> list[str]:
    """What the page calls them: their folders' names, where these differ, else their paths."""
    short = [workspace.path.resolve().name for workspace in workspaces]
    return short if len(set(short)) == len(short) else [str(workspace.path) for workspace in workspaces]


def _subject(workspace: Workspace, name: str, console: Console) -> Subject:
    from benchmarks.outputs import Outputs, from_arrays, outputs_file
    from benchmarks.page.subject import Subject, Validation

    parity, found = workspace.read_json("parity.json"), recorded(workspace, console)
    validation = workspace.read_arrays("validation.npz")

    def outputs(row: int) -> Outputs:
        return from_arrays(workspace.read_arrays(outputs_file(**parity["rows"][row])))

    return Subject(
        name=name,
        option=workspace.option,
        parity=parity,
        manifest=workspace.read_json("artifacts/manifest.json"),
        dataset=workspace.read_json("dataset.json"),
        training=workspace.read_json("training.json"),
        validation=Validation(validation["images"], validation["labels"], validation["baseline_probabilities"]),
        outputs=outputs,
        latency=found.latency,
        invalid=found.invalid,
        counted=found.counted,
        peers=recorded_peers(workspace, console),
        layers=recorded_layers(workspace, console),
        history=recorded_history(workspace, console),
    )


def summary(workspace: Workspace, console: Console) -> tuple[list[SummaryRow], Recommendation]:
    """The rows of the result table, and which file to ship."""
    parity, manifest = workspace.read_json("parity.json"), workspace.read_json("artifacts/manifest.json")
    rows = summarize(parity, manifest, results_of(workspace, console))
    return rows, recommend(rows, manifest, parity["margin_pp"])
