"""Stage 5: latency of every artifact on every runtime; on simulated boards, instructions. Needs no TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from benchmarks.counts import CountResult
from benchmarks.latency import measure
from benchmarks.matrix import Artifact, able_runtimes
from benchmarks.outputs import file_part
from benchmarks.results import LatencyResult, to_result
from benchmarks.targets import machine_of
from benchmarks.targets.base import Target
from benchmarks.targets.simulated import SimulatedTarget
from benchmarks.targets.ssh import SshTarget
from benchmarks.validity import Watch
from edge_runtime.errors import InputError
from edge_runtime.progress import Progress
from edgeproof.console import Console
from edgeproof.stages.counting import count
from edgeproof.stages.judging import runnable_artifacts
from edgeproof.stages.places import golden_file, open_targets, visiting
from edgeproof.stages.side_by_side import on_all
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
    beside: Sequence[Artifact] = (),
) -> list[LatencyResult | CountResult]:
    """Measure on each target, or count on a simulated one, and write `latency/<target>-<utc>.json`.

    beside: further files, timed with the workspace's own in the same session.
    """
    check_measuring(seconds, threads)
    chosen = open_targets(targets, console)
    for target in chosen:
        if isinstance(target, SimulatedTarget):  # before minutes of work, not after
            _check_counting(target, threads)
    counted = {target.name: count(workspace, console, target, runtimes) for target in chosen if isinstance(target, SimulatedTarget)}
    real = [target for target in chosen if not isinstance(target, SimulatedTarget)]
    timed = _time_all(workspace, console, real, runtimes, threads, seconds, beside)
    return [counted.get(target.name) or timed[target.name] for target in chosen]


def _check_counting(target: SimulatedTarget, threads: int) -> None:
    target.require(counting=True)
    if threads != 1:
        raise InputError(f"{target.name} counts the instructions of one thread: leave --threads out.")


def _time_all(
    workspace: Workspace,
    console: Console,
    targets: Sequence[Target],
    runtimes: Sequence[str],
    threads: int,
    seconds: float,
    beside: Sequence[Artifact],
) -> dict[str, LatencyResult]:
    """By name of the target. Boards are timed at once, unless two are one machine."""
    if not targets:
        return {}
    artifacts = [*runnable_artifacts(workspace, runtimes), *beside]
    images = workspace.read_arrays("validation.npz")["images"]

    def measure_on(target: Target, progress: Progress) -> LatencyResult:
        timed = partial(measure, artifacts, images, target, runtimes=runtimes, seconds=seconds, threads=threads, progress=progress)
        if isinstance(target, SshTarget):
            with Watch(target.watch()) as watch:
                contestants = timed(golden=golden_file(workspace), between_rounds=watch.read)
            fields = to_result(contestants, target.name, threads, watch.fields)
            _warn_of_governor(console, target.name, fields["board"]["governor"])
        else:
            fields = to_result(timed(), target.name, threads)
        workspace.write_json(f"latency/{file_part(target.name)}-{fields['utc']}.json", fields)
        return LatencyResult(fields)

    with visiting(targets, [runtime for artifact in artifacts for runtime in able_runtimes(artifact, runtimes)], console):
        results = on_all(targets, console, "Latency", measure_on, apart=machine_of)
    for result in results:
        for row in result.fields["rows"]:
            if row["reason"]:
                console.say(f"{row['artifact']} on {row['runtime']} was not measured: {row['reason']}")
    return {result.target: result for result in results}


def _warn_of_governor(console: Console, target: str, governor: str) -> None:
    if governor not in ("", "performance"):
        console.say(f"{target} has governor {governor}, which moves the clock: times are steadier with performance.")


def check_measuring(seconds: float, threads: int) -> None:
    """InputError for a measuring time or a number of threads that cannot be."""
    if not 0 < seconds <= MOST_SECONDS or threads < 1:  # false for NaN, too
        raise InputError(f"Expected --seconds above 0 and at most {MOST_SECONDS}, and --threads of at least 1, got {seconds:g} and {threads}.")
