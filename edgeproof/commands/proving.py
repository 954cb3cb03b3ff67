"""Commands that prove things: parity, bench, dashboard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgeproof.commands.printing import show_measured, show_verdicts
from edgeproof.options import (
    DEFAULT_WORKSPACE,
    AssumeOption,
    BaselineOption,
    CompareOption,
    ExportOption,
    FreezeOption,
    FurtherExports,
    GivenMarginOption,
    HeldOutOption,
    JsonOption,
    KernelsOption,
    PeersOption,
    RateOption,
    RejudgeOption,
    RuntimeOption,
    SecondsOption,
    SlowdownOption,
    TargetOption,
    ThreadsOption,
    VerboseOption,
    WorkspaceOption,
    open_workspace,
    refuse_with,
    refuse_without,
)

if TYPE_CHECKING:
    from benchmarks.parity import Report
    from edgeproof.console import Console
    from edgeproof.workspace import Workspace


def parity(
    more: FurtherExports = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    baseline: BaselineOption = None,
    export: ExportOption = None,
    data: HeldOutOption = None,
    preprocess: AssumeOption = None,
    max_drop: GivenMarginOption = None,
    on: TargetOption = ["local"],  # noqa: B006 - typer copies it
    runtime: RuntimeOption = None,
    kernels: KernelsOption = None,
    rejudge: RejudgeOption = False,
    freeze: FreezeOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Judge every artifact against the baseline on the validation images, on every runtime. Exits with the verdict.

    With --baseline and --export: files that edgeproof did not make, on all images of --data.
    """
    from edgeproof.stages import judging

    exports = [*(export or ()), *(more or ())]
    _check_usage(baseline, export, exports, data, preprocess)
    refuse_with("--rejudge", rejudge, baseline=baseline, on=on != ["local"], runtime=runtime, kernels=kernels)
    _check_values(max_drop, freeze)
    place, console = open_workspace(workspace, as_json, verbose)
    if baseline is not None and data is not None:
        from edgeproof.stages.adopting import adopt

        adopt(place, console, baseline=baseline, exports=exports, source=data, preprocess=preprocess, runtimes=runtime or ())
    margin = judging.usual_margin(place, again=rejudge) if max_drop is None else max_drop
    if rejudge:
        report = judging.rejudge(place, margin_pp=margin)
    else:
        report = judging.judge_parity(place, console, margin_pp=margin, targets=on, runtimes=runtime or (), kernels=kernels or ())
    _tell(place, console, report, margin, freeze)
    return judging.exit_code(report.verdict)


def _check_usage(baseline: Path | None, export: list[Path] | None, exports: list[Path], data: str | None, preprocess: str | None) -> None:
    """BadParameter for options that would be ignored, or that lack what they need."""
    if exports and not export:
        raise typer.BadParameter(f"{exports[0]}: what is to be judged is named with --export")
    refuse_without("--baseline", baseline is not None, export=export, data=data, preprocess=preprocess)
    if baseline is not None and (not export or data is None):
        raise typer.BadParameter("--baseline needs --export FILE… and --data SRC: what is to be judged, and on which images")


def _check_values(max_drop: float | None, freeze: Path | None) -> None:
    """InputError for a margin that is none and a file that cannot be written, before anything runs."""
    from edgeproof.stages import freezing, judging

    if max_drop is not None:
        judging.check_margin(max_drop)
    if freeze is not None:
        freezing.check_freezable(freeze)


def _tell(place: Workspace, console: Console, report: Report, margin_pp: float, freeze: Path | None) -> None:
    """The verdict to whoever reads it: the terminal, JSON, a dashboard that was there, the frozen baseline."""
    if place.has("dashboard.html"):  # it is a report, too: it must not show a former verdict
        from edgeproof.stages.showing import build_dashboard

        build_dashboard(place, console)
    console.give(report.to_dict())
    show_verdicts(place, console)
    if freeze is not None:
        from edgeproof.stages.freezing import freeze as write_frozen

        console.show(f"Frozen: {freeze}, {write_frozen(place, freeze, margin_pp) / 1000:.0f} KB, no images in it.")
    console.show(f"Report: {place / 'parity.md'}, {place / 'parity.json'}, {place / 'parity.junit.xml'}. Next: edgeproof bench{place.option}")


def bench(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    on: TargetOption = ["local"],  # noqa: B006 - typer copies it
    runtime: RuntimeOption = None,
    threads: ThreadsOption = "1",
    seconds: SecondsOption = 2.0,
    rate: RateOption = None,
    peers: PeersOption = False,
    compare: CompareOption = None,
    max_slowdown: SlowdownOption = None,
    max_ms: Annotated[
        float | None, typer.Option("--max-ms", metavar="MS", help="Simulated boards: fail when a prediction is longer, its whole interval.")
    ] = None,
    record: Annotated[bool, typer.Option("--record", help="Also append to the workspace's history, with the commit. Not what is INVALID.")] = False,
    layers: Annotated[bool, typer.Option("--layers", help="Instead, what each operator costs, by Keras layer.")] = False,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Measure latency, interleaved: batch 1, real images, all artifacts and runtimes in turn. On simulated boards, count and predict.

    With --compare on this machine or a board: an earlier workspace's files (or one .tflite, .onnx, or a folder of them) are measured in the same
    session, side by side; an earlier result (a file of latency/) is compared by each format's ratio to float32. Times of two sessions as such
    are never compared. Exits with 1 if a whole 99 % interval is past --max-slowdown, with 3 if the limit lies inside one.
    """
    from edgeproof.stages import recording
    from edgeproof.stages.benching import bench as measure
    from edgeproof.stages.benching import check_measuring, read_threads
    from edgeproof.stages.comparing import references_of
    from edgeproof.stages.counting import check_predictable
    from edgeproof.stages.peering import bench_with_peers

    if layers:
        sums = {"max-slowdown": max_slowdown is not None, "max-ms": max_ms is not None}
        refuse_with("--layers", True, compare=compare, rate=rate is not None, peers=peers, record=record, **sums)
        return _bench_layers(workspace, on, runtime or (), threads, seconds, as_json, verbose)
    refuse_without("--compare", compare is not None, **{"max-slowdown": max_slowdown is not None})
    refuse_with("--record", record, rate=rate is not None)  # a history is of one run after the other
    counts = read_threads(threads)
    if peers and (rate is not None or counts != (1,)):
        raise typer.BadParameter("--peers measures one run after the other with one thread: leave --threads and --rate out")
    check_measuring(seconds, counts, rate)
    place, console = open_workspace(workspace, as_json, verbose)
    conditions: dict[str, Any] = {"runtimes": runtime or (), "threads": counts, "rate_hz": rate}
    references = references_of(compare, on, max_slowdown, workspace=place, **conditions, say=console.say)
    if max_ms is not None:
        check_predictable(max_ms, on)
    if record:
        recording.check_recordable(place)
    settings = {"targets": on, "seconds": seconds, "earlier": references.files, **conditions}
    results, rows = bench_with_peers(place, console, **settings) if peers else (measure(place, console, **settings), [])
    code = show_measured(results, references, console, max_ms, runtimes=runtime or (), peers=rows)
    if record:
        refused = recording.record(place, console, results)
        code = code if code == 2 else refused or code
    if any(result.rows for result in results):
        console.show(f"Next: edgeproof dashboard{place.option}")
    return code


def _bench_layers(workspace: Path, on: list[str], runtimes: Sequence[str], threads: str, seconds: float, as_json: bool, verbose: bool) -> int:
    from edgeproof.stages.benching import check_measuring, read_threads
    from edgeproof.stages.layering import layer_costs, show_layers

    counts = read_threads(threads)
    check_measuring(seconds, counts, None)
    if len(counts) > 1:
        raise typer.BadParameter("--layers takes one number of threads")
    place, console = open_workspace(workspace, as_json, verbose)
    return show_layers(layer_costs(place, console, targets=on, runtimes=runtimes, threads=counts[0], seconds=seconds), console)


def dashboard(
    context: typer.Context,
    workspaces: Annotated[
        list[Path] | None, typer.Argument(metavar="WORKSPACE", help="Workspaces that share a page (default: -w alone).", show_default=False)
    ] = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where to write it (default: in the workspace; of several, ./dashboard.html).")
    ] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Write the dashboard of one workspace, or of several: one HTML file that needs no network."""
    from edgeproof.stages.showing import PAGE, build_page
    from edgeproof.workspace import Workspace

    _, console = open_workspace(workspace, as_json, verbose)
    source = context.get_parameter_source("workspace")
    named = source is not None and source.name == "COMMANDLINE"
    chosen = [*([workspace] if named or not workspaces else []), *(workspaces or [])]
    places = list({path.resolve(): Workspace(path) for path in chosen}.values())
    page = build_page(places, console, out or (places[0] / PAGE if len(places) == 1 else Path(PAGE)))
    console.give({"dashboard": str(page)})
    console.show(f"Open {page} in a browser; it is one file and needs no network.")
    if open_page:
        typer.launch(page.resolve().as_uri())
    return 0
