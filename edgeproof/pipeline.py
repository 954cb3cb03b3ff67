"""The main job, end to end: baseline -> folded -> QAT -> artifacts -> parity -> latency -> dashboard."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.reports.summary import Recommendation, SummaryRow
from edge_runtime.errors import EdgeproofError
from edgeproof.console import Console
from edgeproof.stages.baseline import adopt_baseline, train_baseline
from edgeproof.stages.benching import bench, check_measuring
from edgeproof.stages.exporting import export_formats
from edgeproof.stages.judging import check_margin, judge_parity
from edgeproof.stages.quantize import fine_tune, fold_baseline, why_not_quantizable
from edgeproof.stages.showing import build_dashboard, summary
from edgeproof.workspace import Workspace
from export.formats import usual_formats
from train.recipes import find_recipe


class NothingExported(EdgeproofError):
    """Every format failed: there is nothing to judge."""


@dataclass(frozen=True)
class Options:
    """What `edgeproof run` was asked for."""

    recipe: str = "compact"
    model: Path | None = None
    data: str = "digits"
    preprocess: str | None = None
    logits: bool = False
    epochs: int | None = None
    seed: int = 0
    margin_pp: float = 0.25
    seconds: float = 2.0


@dataclass(frozen=True)
class Outcome:
    """What the whole run came to."""

    verdict: str
    rows: list[SummaryRow]
    recommendation: Recommendation
    failed: dict[str, str]
    dashboard: Path
    seconds: float


def run(workspace: Workspace, console: Console, options: Options) -> Outcome:
    """Every stage in order. Raises the error tree; formats that fail are reported in the outcome."""
    check_margin(options.margin_pp)  # before minutes of work, not after
    check_measuring(options.seconds)
    begin = time.perf_counter()
    make_baseline(workspace, console, options)
    fold_baseline(workspace, console)
    if why_not_quantizable(workspace) is None:  # else the formats that need it are rows with this reason
        fine_tune(workspace, console, epochs=_fine_tuning_epochs(options))
    exported = export_formats(workspace, console, usual_formats())
    if not exported["artifacts"]:
        raise NothingExported("No format could be exported: " + "; ".join(f"{name}: {reason}" for name, reason in exported["failed"].items()))
    report = judge_parity(workspace, console, margin_pp=options.margin_pp)
    bench(workspace, console, seconds=options.seconds)
    dashboard = build_dashboard(workspace, console)
    rows, recommendation = summary(workspace, console)
    return Outcome(report.verdict, rows, recommendation, exported["failed"], dashboard, time.perf_counter() - begin)


def _fine_tuning_epochs(options: Options) -> int | None:
    """--epochs is the training's, if there is one; fine-tuning then never takes longer than its recipe says."""
    if options.epochs is None or options.model is not None:
        return options.epochs
    return min(options.epochs, find_recipe(options.recipe).qat.epochs)


def make_baseline(workspace: Workspace, console: Console, options: Options) -> dict[str, object]:
    """Adopt the user's model if one is given, else train the recipe."""
    if options.model is not None:
        return adopt_baseline(
            workspace,
            console,
            model_path=options.model,
            source=options.data,
            preprocess=options.preprocess,
            logits=options.logits,
            seed=options.seed,
        )
    return train_baseline(workspace, console, recipe=options.recipe, source=options.data, epochs=options.epochs, seed=options.seed)
