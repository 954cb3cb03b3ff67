"""Stage 5: latency of every artifact on every runtime. Needs no TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.latency import measure
from benchmarks.matrix import able_runtimes
from benchmarks.outputs import file_part
from benchmarks.results import LatencyResult, read_result, to_result
from benchmarks.targets import find_target, machine_of, opened
from benchmarks.targets.base import Target
from benchmarks.targets.ssh import SshTarget
from benchmarks.validity import INVALID, Watch
from edge_runtime.errors import InputError
from edge_runtime.progress import Progress
from edgeproof.console import Console
from edgeproof.stages.bundling import supply
from edgeproof.stages.judging import runnable_artifacts
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
) -> list[LatencyResult]:
    """Measure on each target and write `latency/<target>-<utc>.json`."""
    check_measuring(seconds, threads)
    for name in targets:
        find_target(name)
    artifacts = runnable_artifacts(workspace, runtimes)
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

    able = [runtime for artifact in artifacts for runtime in able_runtimes(artifact, runtimes)]
    with opened(targets, supply(console), list(dict.fromkeys(able)), console.say) as chosen:
        results = on_all(chosen, console, "Latency", measure_on, apart=machine_of)
    for result in results:
        for row in result.fields["rows"]:
            if row["reason"]:
                console.say(f"{row['artifact']} on {row['runtime']} was not measured: {row['reason']}")
    return results


def _warn_of_governor(console: Console, target: str, governor: str) -> None:
    if governor not in ("", "performance"):
        console.say(f"{target} has governor {governor}, which moves the clock: times are steadier with performance.")


def golden_file(workspace: Workspace) -> Path | None:
    """The golden vectors of the workspace's artifacts; None for those that edgeproof did not make."""
    return next(iter(sorted((workspace / "artifacts").glob("*.golden.npz"))), None)


def check_measuring(seconds: float, threads: int) -> None:
    """InputError for a measuring time or a number of threads that cannot be."""
    if not 0 < seconds <= MOST_SECONDS or threads < 1:  # false for NaN, too
        raise InputError(f"Expected --seconds above 0 and at most {MOST_SECONDS}, and --threads of at least 1, got {seconds:g} and {threads}.")


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
