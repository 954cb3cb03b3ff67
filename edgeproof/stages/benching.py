"""Stage 5: latency of every artifact on every runtime; on simulated boards, instructions. Needs no TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.counts import CountResult
from benchmarks.latency import measure
from benchmarks.results import LatencyResult, to_result
from benchmarks.targets.base import Target
from benchmarks.targets.simulated import SimulatedTarget
from edge_runtime.errors import InputError
from edgeproof.console import Console
from edgeproof.stages.counting import count
from edgeproof.stages.judging import runnable_artifacts
from edgeproof.stages.places import open_targets
from edgeproof.workspace import Workspace

MOST_SECONDS = 3600


def bench(
    workspace: Workspace,
    console: Console,
    *,
    targets: Sequence[str] = ("local",),
    runtimes: Sequence[str] = (),
    threads: int = 1,
    seconds: float = 2.0,
) -> list[LatencyResult | CountResult]:
    """Measure on each target, or count on a simulated one, and write `latency/<target>-<utc>.json`."""
    check_measuring(seconds, threads)
    chosen = open_targets(targets, console)
    for target in chosen:
        if isinstance(target, SimulatedTarget):  # before minutes of work, not after
            _check_counting(target, threads)
    results: list[LatencyResult | CountResult] = []
    for target in chosen:
        if isinstance(target, SimulatedTarget):
            results.append(count(workspace, console, target, runtimes))
        else:
            results.append(_time(workspace, console, target, runtimes, threads, seconds))
    return results


def _check_counting(target: SimulatedTarget, threads: int) -> None:
    target.require(counting=True)
    if threads != 1:
        raise InputError(f"{target.name} counts the instructions of one thread: leave --threads out.")


def _time(workspace: Workspace, console: Console, target: Target, runtimes: Sequence[str], threads: int, seconds: float) -> LatencyResult:
    artifacts = runnable_artifacts(workspace, runtimes)
    images = workspace.read_arrays("validation.npz")["images"]
    with console.progress(f"Latency on {target.name}") as progress:
        contestants = measure(artifacts, images, target, runtimes=runtimes, seconds=seconds, threads=threads, progress=progress)
    fields = to_result(contestants, target.name, threads)
    workspace.write_json(f"latency/{target.name}-{fields['utc']}.json", fields)
    for contestant in contestants:
        if contestant.reason:
            console.say(f"{contestant.artifact.path.name} on {contestant.runtime} was not measured: {contestant.reason}")
    return LatencyResult(fields)


def check_measuring(seconds: float, threads: int) -> None:
    """InputError for a measuring time or a number of threads that cannot be."""
    if not 0 < seconds <= MOST_SECONDS or threads < 1:  # false for NaN, too
        raise InputError(f"Expected --seconds above 0 and at most {MOST_SECONDS}, and --threads of at least 1, got {seconds:g} and {threads}.")
