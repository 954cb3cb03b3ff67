"""Instructions per inference on simulated boards, and the gate on them. Needs no TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.counts import CountResult, to_result
from benchmarks.instructions import Counted, count_instructions
from benchmarks.limits import check_limit
from benchmarks.matrix import able_runtimes
from benchmarks.mca import Analyser
from benchmarks.predict import BoardTimes, Prediction, predict_times
from benchmarks.targets.simulated import SIMULATED, SimulatedTarget
from edge_runtime.errors import InputError, RuntimeMissingError
from edgeproof.cache import cache_folder
from edgeproof.console import Console
from edgeproof.stages.board_scales import times_of
from edgeproof.stages.judging import runnable_artifacts
from edgeproof.stages.places import prepare_simulated
from edgeproof.workspace import Workspace


def count(workspace: Workspace, console: Console, target: SimulatedTarget, runtimes: Sequence[str]) -> CountResult:
    """Count every artifact on every runtime of one board and write `latency/<target>-<utc>.json`.

    Predicted with the board's own scale, if its owner measured one, else with the published one.
    """
    result = counts_with(times_of(target.board.name), workspace, console, target, runtimes)
    workspace.write_json(f"latency/{target.name}-{result.fields['utc']}.json", dict(result.fields))
    return result


def counts_with(times: BoardTimes, workspace: Workspace, console: Console, target: SimulatedTarget, runtimes: Sequence[str]) -> CountResult:
    """The same, predicted with these times, and kept nowhere."""
    target.require(counting=True)
    artifacts = runnable_artifacts(workspace, runtimes)
    images = workspace.read_arrays("validation.npz")["images"]
    prepare_simulated(target, [runtime for artifact in artifacts for runtime in able_runtimes(artifact, runtimes)], console)
    with console.progress(f"Instructions on {target.name}") as progress:
        counted = count_instructions(artifacts, images, target, runtimes=runtimes, progress=progress)
    result = CountResult(to_result(counted, target, *_predicted(counted, target, times, console), times))
    for (artifact, runtime), reason in result.failed.items():
        console.say(f"{artifact} on {runtime} was not counted: {reason}")
    return result


def _predicted(counted: Sequence[Counted], target: SimulatedTarget, times: BoardTimes, console: Console) -> tuple[list[dict[str, Prediction]], str]:
    """Predicted times, and LLVM's version; nothing without LLVM, with a word on what to install: the counts remain."""
    analyser = Analyser(cache_folder())
    try:
        return predict_times(target.board.name, counted, analyser, times), analyser.version
    except RuntimeMissingError as error:
        console.say(str(error))
        return [], ""


def check_predictable(most_ms: float, targets: Sequence[str]) -> None:
    """Before minutes of work: InputError for a limit or a target that nothing is predicted for, RuntimeMissingError without LLVM."""
    check_limit(most_ms)
    for name in targets:
        if name not in SIMULATED:
            raise InputError(f"--max-ms is for simulated boards, whose times are predicted: {name} is none.")
    _ = Analyser(cache_folder()).version
