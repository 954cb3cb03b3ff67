"""Stage 5: latency of every artifact on every runtime; on simulated boards, instructions. Needs no TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.counts import CountResult
from benchmarks.latency import Contestant, measure
from benchmarks.matrix import Artifact, able_runtimes
from benchmarks.outputs import file_part
from benchmarks.results import LatencyResult, to_result
from benchmarks.targets import machine_of
from benchmarks.targets.base import Target
from benchmarks.targets.simulated import SimulatedTarget
from benchmarks.targets.ssh import SshTarget
from benchmarks.turns import LEAST_PACED
from benchmarks.validity import LocalWatch, Watch
from edge_runtime.errors import InputError
from edge_runtime.progress import Progress
from edgeproof.console import Console
from edgeproof.stages.counting import count
from edgeproof.stages.judging import runnable_artifacts
from edgeproof.stages.places import golden_file, open_targets, visiting
from edgeproof.stages.side_by_side import on_all
from edgeproof.workspace import Workspace

MOST_SECONDS = 3600
MOST_THREADS = 256
SLOWEST_HZ, FASTEST_HZ = 0.1, 1000.0


def bench(
    workspace: Workspace,
    console: Console,
    *,
    targets: Sequence[str] = ("local",),
    runtimes: Sequence[str] = (),
    threads: Sequence[int] = (1,),
    seconds: float = 2.0,
    rate_hz: float | None = None,
    earlier: Sequence[Artifact] = (),
    beside: Sequence[Artifact] = (),
) -> list[LatencyResult | CountResult]:
    """Measure on each target, or count on a simulated one, and write `latency/<target>-<utc>.json`.

    earlier: files to measure in the same sessions and to compare with: the results' `reference_rows`. beside: what other tools made of the
    same baseline, timed with the workspace's own files, in rows like theirs.
    """
    check_measuring(seconds, threads, rate_hz)
    chosen = open_targets(targets, console)
    for target in chosen:
        if isinstance(target, SimulatedTarget):  # before minutes of work, not after
            _check_counting(target, threads, rate_hz)
    _check_pace(seconds, rate_hz)
    real = [target for target in chosen if not isinstance(target, SimulatedTarget)]
    counted = {target.name: count(workspace, console, target, runtimes) for target in chosen if isinstance(target, SimulatedTarget)}
    timed = _time_all(workspace, console, real, runtimes, threads, seconds, rate_hz, earlier, beside)
    return [counted.get(target.name) or timed[target.name] for target in chosen]


def _check_counting(target: SimulatedTarget, threads: Sequence[int], rate_hz: float | None) -> None:
    target.require(counting=True)
    if tuple(threads) != (1,):
        raise InputError(f"{target.name} counts the instructions of one thread: leave --threads out.")
    if rate_hz is not None:
        raise InputError(f"{target.name} counts instructions, which no pace changes: leave --rate out.")


def _time_all(
    workspace: Workspace,
    console: Console,
    targets: Sequence[Target],
    runtimes: Sequence[str],
    threads: Sequence[int],
    seconds: float,
    rate_hz: float | None,
    earlier: Sequence[Artifact],
    beside: Sequence[Artifact],
) -> dict[str, LatencyResult]:
    """By name of the target. Boards are timed at once, unless two are one machine."""
    if not targets:
        return {}
    artifacts = [*runnable_artifacts(workspace, runtimes), *beside, *earlier]
    images = workspace.read_arrays("validation.npz")["images"]

    def measure_on(target: Target, progress: Progress) -> LatencyResult:
        conditions: dict[str, Any] = {"runtimes": runtimes, "threads": threads, "seconds": seconds, "rate_hz": rate_hz, "full": True}
        timed = partial(measure, artifacts, images, target, **conditions, progress=progress)
        fields = _fields_there(timed, target, golden_file(workspace), earlier) if isinstance(target, SshTarget) else _fields_here(timed, earlier)
        if isinstance(target, SshTarget):
            _warn_of_governor(console, target.name, fields["board"]["governor"])
        workspace.write_json(f"latency/{file_part(target.name)}-{fields['utc']}.json", fields)
        return LatencyResult(fields)

    with visiting(targets, [runtime for artifact in artifacts for runtime in able_runtimes(artifact, runtimes)], console):
        results = on_all(targets, console, "Latency", measure_on, apart=machine_of)
    for result in results:
        for row in (*result.fields["rows"], *result.fields["reference_rows"]):
            if row["reason"]:
                console.say(f"{row['artifact']} on {row['runtime']} was not measured: {row['reason']}")
    return {result.target: result for result in results}


def _fields_here(timed: Callable[..., list[Contestant]], earlier: Sequence[Artifact]) -> dict[str, Any]:
    watch = LocalWatch()
    contestants, others = _apart(timed(between_rounds=watch.read), earlier)
    return to_result(contestants, "local", _least_threads(contestants), earlier=others, reasons=watch.faults())


def _fields_there(timed: Callable[..., list[Contestant]], target: SshTarget, golden: Path | None, earlier: Sequence[Artifact]) -> dict[str, Any]:
    with Watch(target.watch()) as watch:
        contestants, others = _apart(timed(golden=golden, between_rounds=watch.read), earlier)
    return to_result(contestants, target.name, _least_threads(contestants), watch.fields, earlier=others)


def _least_threads(contestants: Sequence[Contestant]) -> int:
    return min(contestant.threads for contestant in contestants)


def _apart(contestants: Sequence[Contestant], earlier: Sequence[Artifact]) -> tuple[list[Contestant], list[Contestant]]:
    """The workspace's own, and those they are compared with."""
    of_others = [any(contestant.artifact is artifact for artifact in earlier) for contestant in contestants]
    own = [contestant for contestant, other in zip(contestants, of_others, strict=True) if not other]
    return own, [contestant for contestant, other in zip(contestants, of_others, strict=True) if other]


def _warn_of_governor(console: Console, target: str, governor: str) -> None:
    if governor not in ("", "performance"):
        console.say(f"{target} has governor {governor}, which moves the clock: times are steadier with performance.")


def read_threads(text: str) -> tuple[int, ...]:
    """ "1,2,4" as numbers of threads, each once. InputError for what is none."""
    try:
        counts = tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        raise InputError(f"--threads is a number, or several with commas (1,2,4), got {text!r}.") from None
    check_threads(counts)
    return counts


def check_threads(counts: Sequence[int]) -> None:
    """InputError for a number of threads that cannot be."""
    for threads in counts:
        if not 1 <= threads <= MOST_THREADS:
            raise InputError(f"Expected --threads of at least 1 and at most {MOST_THREADS}, got {threads}.")


def check_measuring(seconds: float, threads: Sequence[int] = (1,), rate_hz: float | None = None) -> None:
    """InputError for a measuring time, numbers of threads or a rate that cannot be."""
    check_threads(threads)
    if not 0 < seconds <= MOST_SECONDS:  # false for NaN, too
        raise InputError(f"Expected --seconds above 0 and at most {MOST_SECONDS}, got {seconds:g}.")
    if rate_hz is not None and not SLOWEST_HZ <= rate_hz <= FASTEST_HZ:
        raise InputError(f"--rate is a number of pictures a second between {SLOWEST_HZ:g} and {FASTEST_HZ:g}, got {rate_hz:g}.")


def _check_pace(seconds: float, rate_hz: float | None) -> None:
    """InputError for a rate that gives too few runs in the measuring time, with the time that gives enough."""
    if rate_hz is not None and round(seconds * rate_hz, 6) < LEAST_PACED:
        needed = math.ceil(10 * LEAST_PACED / rate_hz) / 10
        raise InputError(
            f"--rate {rate_hz:g} takes --seconds {needed:g} or more, of each file and runtime: {LEAST_PACED} pictures at least, got {seconds:g}."
        )
