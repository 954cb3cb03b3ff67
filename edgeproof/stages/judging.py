"""Stage 4: parity of every artifact on every runtime, over the validation images. Needs no TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from benchmarks import parity, statistics
from benchmarks.layers import LayerRow
from benchmarks.matrix import Artifact, Cell, able_runtimes, cells, collect
from benchmarks.outputs import Outputs, from_arrays, outputs_file, to_arrays
from benchmarks.parity import Report
from benchmarks.reports.junit import junit_xml
from benchmarks.reports.markdown import parity_markdown
from benchmarks.targets import machine_of
from benchmarks.targets.base import Target
from benchmarks.targets.local import LocalTarget
from benchmarks.targets.simulated import SimulatedTarget
from edge_runtime.errors import InputError, unknown_name
from edge_runtime.interpreter import RUNTIMES, find_runtime
from edge_runtime.progress import Progress
from edgeproof.console import Console
from edgeproof.stages.explaining import Tables, explain_failures
from edgeproof.stages.places import open_targets, visiting
from edgeproof.stages.side_by_side import on_all
from edgeproof.stages.simulating import before_long_run, simulated_cells
from edgeproof.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np

_STAGES = ("folded", "qat")


def judge_parity(
    workspace: Workspace,
    console: Console,
    *,
    margin_pp: float = parity.DEFAULT_MARGIN_PP,
    targets: Sequence[str] = ("local",),
    runtimes: Sequence[str] = (),
    kernels: Sequence[str] = (),
) -> Report:
    """Run the matrix, judge it, and write `outputs/`, `parity.json`, `parity.md` and `parity.junit.xml`."""
    check_margin(margin_pp)
    chosen = open_targets(targets, console)
    matrix = cells(runnable_artifacts(workspace, runtimes), runtimes=runtimes, kernels=_known_kernels(kernels))
    if not matrix:
        raise InputError(f"Nothing to run: {', '.join(runtimes)} has no {', '.join(kernels)} kernels.")
    images = workspace.read_arrays("validation.npz")["images"]
    _warn_if_too_few(console, len(images), margin_pp)
    own = {target.name: _own_cells(target, matrix, len(images), every_kernel=bool(kernels)) for target in chosen}

    def answers_of(target: Target, progress: Progress) -> list[Outputs]:
        return collect(own[target.name], images, target, progress=progress)

    with visiting(chosen, [cell.runtime for cell in matrix], console):
        for target in chosen:
            if not isinstance(target, LocalTarget):
                before_long_run(workspace, console, target, own[target.name])
        answered = on_all(chosen, console, "Parity", answers_of, apart=machine_of)
        return judge_outputs(workspace, [answers for each in answered for answers in each], margin_pp, targets=chosen)


def _own_cells(target: Target, matrix: Sequence[Cell], images: int, *, every_kernel: bool) -> Sequence[Cell]:
    return simulated_cells(matrix, images, every_kernel=every_kernel) if isinstance(target, SimulatedTarget) else matrix


def judge_outputs(
    workspace: Workspace, outputs: Sequence[Outputs], margin_pp: float, *, known: Tables | None = None, targets: Sequence[Target] = ()
) -> Report:
    """The verdict on answers that are there, and every report of it.

    known: tables of the layers of failing rows, if they are not to be run again; targets: where those rows ran, otherwise.
    """
    reference = reference_of(workspace.read_arrays("validation.npz"))
    baseline_sha256 = workspace.read_json("training.json")["baseline_sha256"]
    report = parity.judge(reference, outputs, margin_pp=margin_pp, baseline_sha256=baseline_sha256)
    report = explain_failures(workspace, outputs, report, known=known, targets=targets)
    fields = report.to_dict()
    with workspace.stage("parity") as files:
        for answers in outputs:
            files.write_arrays(outputs_file(**vars(answers)), to_arrays(answers))
        files.write_text("parity.md", parity_markdown(fields))
        files.write_text("parity.junit.xml", junit_xml(fields))
        files.write_json("parity.json", fields)
    return report


def rejudge(workspace: Workspace, *, margin_pp: float) -> Report:
    """Judge the saved outputs again, without inference, and write every report anew. InputError when they are not those of the artifacts."""
    check_margin(margin_pp)
    held = {artifact.path.name: artifact.sha256 for artifact in workspace.artifacts()}
    outputs = [_saved(workspace, outputs_file(**row)) for row in workspace.read_json("parity.json")["rows"]]
    for answers in outputs:
        if held.get(answers.artifact) != answers.sha256:
            command = workspace.command_for("outputs")
            raise InputError(f"{workspace / outputs_file(**vars(answers))} was answered by another file than the artifact: run `{command}` again.")
    return judge_outputs(workspace, outputs, margin_pp, known=_former_tables(workspace))


def _former_tables(workspace: Workspace) -> dict[int, list[LayerRow]]:
    """What the last report found inside the rows that failed."""
    tables: dict[int, list[LayerRow]] = {}
    for line in workspace.read_json("parity.json").get("layers", []):
        tables.setdefault(line["row"], []).append(LayerRow(**{name: value for name, value in line.items() if name != "row"}))
    return tables


def _saved(workspace: Workspace, name: str) -> Outputs:
    try:
        return from_arrays(workspace.read_arrays(name))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{workspace / name} holds no outputs ({error}): run `{workspace.command_for(name)}` again.") from None


def usual_margin(workspace: Workspace, *, again: bool) -> float:
    """The margin where nobody named one: the last verdict's when it is judged `again`, the frozen baseline's, or the default."""
    if again:
        return float(workspace.read_json("parity.json")["margin_pp"])
    frozen = workspace.read_json("training.json").get("margin_pp") if workspace.has("training.json") else None
    return float(frozen or parity.DEFAULT_MARGIN_PP)


def reference_of(validation: Mapping[str, np.ndarray]) -> parity.Reference:
    """What `validation.npz` holds of the Keras models, for `parity.judge`."""
    stages = {stage: validation[f"{stage}_probabilities"] for stage in _STAGES if f"{stage}_probabilities" in validation}
    return parity.Reference(validation["labels"], validation["baseline_probabilities"], stages)


def _known_kernels(names: Sequence[str]) -> Sequence[str]:
    known = sorted({kernels for runtime in RUNTIMES.values() for kernels in runtime.kernels})
    for name in names:
        if name not in known:
            raise unknown_name("kernels", name, known)
    return names


def check_margin(margin_pp: float) -> None:
    """InputError for a margin that is no number of percentage points."""
    if not 0 < margin_pp < 100:  # false for NaN, too
        raise InputError(f"--max-drop is a number of percentage points between 0 and 100, both excluded, got {margin_pp:g}.")


def runnable_artifacts(workspace: Workspace, runtimes: Sequence[str]) -> list[Artifact]:
    """The workspace's artifacts; InputError for a runtime nobody knows, and when no artifact is for any of those named."""
    for name in runtimes:
        find_runtime(name)
    artifacts = workspace.artifacts()
    if not any(able_runtimes(artifact, runtimes) for artifact in artifacts):
        formats = ", ".join(artifact.format for artifact in artifacts)
        raise InputError(f"Nothing to run: the workspace has {formats}, none of them for {', '.join(runtimes)}.")
    return artifacts


def _warn_if_too_few(console: Console, images: int, margin_pp: float) -> None:
    needed = statistics.images_to_certify(margin_pp / 100)
    if images < needed:
        best = 100 * statistics.smallest_certifiable_drop(images)
        console.say(
            f"{images:,} images cannot certify a drop of at most {margin_pp:g} pp (that takes {needed:,}); "
            f"they can certify {best:.2f} pp, if no answer flips."
        )


def exit_code(verdict: str) -> int:
    """0 PASS, 1 FAIL, 3 INCONCLUSIVE."""
    return {parity.PASS: 0, parity.FAIL: 1}.get(verdict, 3)
