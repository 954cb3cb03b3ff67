"""Which layer costs what: artifacts cut after each operator, counted on simulated boards, timed elsewhere. Needs no TensorFlow."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.matrix import Artifact, able_runtimes
from benchmarks.mca import Analyser
from benchmarks.operator_results import PartResult, to_counted, to_measured
from benchmarks.operators import PREFIX_SCOPES, Network, Split, Step, keras_layers, split_all
from benchmarks.outputs import file_part
from benchmarks.predict import BoardTimes, Prediction, predict_times
from benchmarks.reports.operators import parts_sentences, parts_tables
from benchmarks.targets.base import Target
from benchmarks.targets.simulated import SimulatedTarget
from benchmarks.targets.ssh import SshTarget
from benchmarks.validity import LocalWatch, Watch
from edge_runtime.errors import InputError, RuntimeMissingError, RuntimeProblem
from edgeproof.cache import cache_folder
from edgeproof.console import Console
from edgeproof.stages.board_scales import times_of
from edgeproof.stages.judging import runnable_artifacts
from edgeproof.stages.places import open_targets, prepare_simulated, visiting
from edgeproof.workspace import Workspace
from export.prefixes import Cut
from export.prefixes_onnx import cut_onnx
from export.prefixes_tflite import cut_tflite


def layer_costs(
    workspace: Workspace, console: Console, *, targets: Sequence[str], runtimes: Sequence[str], threads: int, seconds: float
) -> list[PartResult]:
    """Cost of every operator of every artifact on each runtime and target, written to `latency/<target>-layers-<utc>.json`."""
    chosen = open_targets(targets, console)
    for target in chosen:
        if isinstance(target, SimulatedTarget):
            target.require(counting=True)
            if threads != 1:
                raise InputError(f"{target.name} counts the instructions of one thread: leave --threads out.")
    artifacts = [artifact for artifact in runnable_artifacts(workspace, runtimes) if able_runtimes(artifact, runtimes)]
    wanted = [runtime for artifact in artifacts for runtime in able_runtimes(artifact, runtimes)]
    results = []
    with visiting(chosen, wanted, console):
        for target in chosen:
            if isinstance(target, SimulatedTarget):
                prepare_simulated(target, wanted, console)
            results.append(_split_on(target, workspace, console, artifacts, runtimes, threads, seconds))
    return results


def _split_on(
    target: Target, workspace: Workspace, console: Console, artifacts: Sequence[Artifact], runtimes: Sequence[str], threads: int, seconds: float
) -> PartResult:
    images, layers = workspace.read_arrays("validation.npz")["images"], _known_layers(workspace)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edgeproof-")))
        progress = stack.enter_context(console.progress(f"Layers on {target.name}"))
        networks = [cut_for(artifact, target, layers, folder) for artifact in artifacts]
        timed = partial(split_all, networks, images, target, runtimes=runtimes, threads=threads, seconds=seconds, progress=progress)
        if isinstance(target, SimulatedTarget):
            times, splits = times_of(target.board.name), timed()
            fields = to_counted(splits, target, *_predicted(splits, target, times, console), times)
        elif isinstance(target, SshTarget):
            with Watch(target.watch()) as watch:
                splits = timed(between=watch.read)
            fields = to_measured(splits, target.name, threads, watch.fields)
        else:
            here = LocalWatch()
            splits = timed(between=here.read)
            fields = to_measured(splits, target.name, threads, reasons=here.faults())
    workspace.write_json(f"latency/{file_part(target.name)}-layers-{fields['utc']}.json", fields)
    result = PartResult(fields)
    for (artifact, runtime), reason in result.failed.items():
        console.say(f"{artifact} on {runtime} was not split into layers: {reason}")
    return result


def show_layers(results: Sequence[PartResult], console: Console) -> int:
    """The tables for people, the files' fields for programs. The exit code: 1 if no network could be split."""
    for result in results:
        for table in parts_tables(result):
            console.show(table)
            console.show("")
        for line in parts_sentences(result):
            console.show(line)
        if validity := result.validity:
            console.show(f"Times of {result.target} are {validity}.")
    given = [dict(result.fields) for result in results]
    console.give(given[0] if len(given) == 1 else {"results": given})
    if not any(result.rows for result in results):
        console.show("Nothing could be split into layers: see the reasons above, and edgeproof doctor.")
        return 1
    return 0


def _known_layers(workspace: Workspace) -> list[str]:
    """Names of the Keras model's layers; none where it was never seen."""
    if not workspace.has("layers.npz"):
        return []
    fused = workspace.read_json("training.json").get("fused_layers", {})
    return list(dict.fromkeys([*(name.partition("/")[2] for name in workspace.read_arrays("layers.npz")), *fused]))


def cut_for(artifact: Artifact, target: Target, layers: Sequence[str], folder: Path) -> Network:
    """The artifact with its prefixes, for this target, written below `folder`."""
    own = folder / artifact.path.stem
    own.mkdir()
    try:
        found = _cut(artifact, target, own)
    except (InputError, RuntimeProblem) as error:  # of the file, not of the target
        return Network(artifact, reason=str(error))
    files = [own / f"{index}{artifact.path.suffix}" for index in range(len(found.prefixes))]
    for file, content in zip(files, found.prefixes, strict=True):
        file.write_bytes(content)
    steps = [Step(step.operator.kind, keras_layers(step.names, layers), step.operator.dtype, step.operator.macs) for step in found.steps]
    return Network(artifact, tuple(steps), tuple(files))


def _cut(artifact: Artifact, target: Target, folder: Path) -> Cut:
    """A .tflite is run as it is; of an .onnx, what ONNX Runtime makes of it on that target is cut."""
    content = artifact.path.read_bytes()
    if artifact.path.suffix == ".tflite":
        return cut_tflite(content)
    optimized = folder / "optimized.onnx"
    target.run({"job": "optimized", "model": str(artifact.path), "outputs": str(optimized)}, "onnxruntime")
    return cut_onnx(content, optimized.read_bytes())


def _predicted(
    splits: Sequence[Split], target: SimulatedTarget, times: BoardTimes, console: Console
) -> tuple[list[dict[str, Prediction]], list[list[dict[str, Prediction]]], str]:
    """Predicted times of the wholes and of each one's prefixes, and LLVM's version; nothing without LLVM, with a word on what to install."""
    analyser, board = Analyser(cache_folder()), target.board.name
    try:
        wholes = iter(predict_times(board, [split.whole for split in splits if split.whole], analyser, times))
        prefixes = iter(predict_times(board, [prefix for split in splits for prefix in split.prefixes], analyser, times, scopes=PREFIX_SCOPES))
        said = [next(wholes) if split.whole else {} for split in splits]
        return said, [[next(prefixes) for _ in split.prefixes] for split in splits], analyser.version
    except RuntimeMissingError as error:
        console.say(str(error))
        return [], [], ""
