"""Stage 5: latency of every artifact on every runtime. Needs no TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.latency import measure
from benchmarks.results import LatencyResult, read_result, to_result
from benchmarks.targets import find_target
from edge_runtime.errors import InputError
from edgeproof.console import Console
from edgeproof.stages.judging import check_runtimes
from edgeproof.workspace import Workspace


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
    if threads < 1 or seconds <= 0:
        raise InputError(f"Expected --threads of at least 1 and --seconds above 0, got {threads} and {seconds:g}.")
    check_runtimes(runtimes)
    chosen = [find_target(name) for name in targets]
    artifacts = workspace.artifacts()
    images = workspace.read_arrays("validation.npz")["images"]
    results = []
    for target in chosen:
        with console.progress(f"Latency on {target.name}") as progress:
            contestants = measure(artifacts, images, target, runtimes=runtimes, seconds=seconds, threads=threads, progress=progress)
        fields = to_result(contestants, target.name, threads)
        workspace.write_json(f"latency/{target.name}-{fields['utc']}.json", fields)
        results.append(LatencyResult(fields))
        for contestant in contestants:
            if contestant.reason:
                console.say(f"{contestant.artifact.path.name} on {contestant.runtime} was not measured: {contestant.reason}")
    return results


def latest_result(workspace: Workspace, target: str = "local") -> LatencyResult | None:
    """The newest readable latency result of a target, or None."""
    files = sorted((workspace / "latency").glob(f"{target}-*.json"))
    return read_result(files[-1]) if files else None
