"""Commands that prove things: parity, bench, dashboard."""

from __future__ import annotations

from typing import Annotated

import typer

from edgeproof.commands.printing import show_verdicts
from edgeproof.options import (
    DEFAULT_WORKSPACE,
    JsonOption,
    KernelsOption,
    MarginOption,
    RuntimeOption,
    SecondsOption,
    TargetOption,
    VerboseOption,
    WorkspaceOption,
    open_workspace,
)


def parity(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    max_drop: MarginOption = 0.25,
    on: TargetOption = ["local"],  # noqa: B006 - typer copies it
    runtime: RuntimeOption = None,
    kernels: KernelsOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Judge every artifact against the baseline on the validation images, on every runtime. Exits with the verdict."""
    from edgeproof.stages.judging import exit_code, judge_parity

    place, console = open_workspace(workspace, as_json, verbose)
    report = judge_parity(place, console, margin_pp=max_drop, targets=on, runtimes=runtime or (), kernels=kernels or ())
    console.give(report.to_dict())
    show_verdicts(place, console)
    console.show(f"Report: {place / 'parity.md'}, {place / 'parity.json'}, {place / 'parity.junit.xml'}. Next: edgeproof bench{place.option}")
    return exit_code(report.verdict)


def bench(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    on: TargetOption = ["local"],  # noqa: B006 - typer copies it
    runtime: RuntimeOption = None,
    threads: Annotated[int, typer.Option("--threads", help="Threads of each interpreter.")] = 1,
    seconds: SecondsOption = 2.0,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Measure latency, interleaved: batch 1, real images, all artifacts and runtimes in turn."""
    from benchmarks.reports.terminal import latency_table
    from edgeproof.stages.benching import bench as measure

    place, console = open_workspace(workspace, as_json, verbose)
    results = measure(place, console, targets=on, runtimes=runtime or (), threads=threads, seconds=seconds)
    for result in results:
        console.give(dict(result.fields))
        console.show(latency_table(result))
    if not any(result.rows for result in results):
        console.show("Nothing could be measured: see the reasons above, and edgeproof doctor.")
        return 1
    console.show(f"Microseconds of this machine: ratios travel, times do not. Next: edgeproof dashboard{place.option}")
    return 0


def dashboard(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    open_page: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Write the dashboard: one HTML file that needs no network."""
    from edgeproof.stages.showing import build_dashboard

    place, console = open_workspace(workspace, as_json, verbose)
    page = build_dashboard(place, console)
    console.give({"dashboard": str(page)})
    console.show(f"Open {page} in a browser; it is one file and needs no network.")
    if open_page:
        typer.launch(page.resolve().as_uri())
    return 0
