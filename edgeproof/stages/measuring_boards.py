"""Times of the workspace's artifacts on somebody's own board, beside those that are predicted for it: what makes the board's own scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from benchmarks.boards import BOARDS, board_called
from benchmarks.calibration import Calibration, Timing, check_enough, find_scale, to_fields
from benchmarks.counts import CountResult
from benchmarks.instructions import SCOPES
from benchmarks.matrix import able_runtimes
from benchmarks.mca import Analyser
from benchmarks.predict import Prediction, board_times
from benchmarks.results import LatencyResult
from benchmarks.targets.address import Address
from benchmarks.targets.probing import ask_model
from benchmarks.targets.simulated import PREFIX, SimulatedTarget
from benchmarks.validity import INVALID
from edge_runtime.errors import InputError, TargetError, unknown_name
from edge_runtime.interpreter import RUNTIMES
from edgeproof.cache import cache_folder
from edgeproof.console import Console
from edgeproof.stages.benching import bench, check_measuring
from edgeproof.stages.board_scales import scales_of_all
from edgeproof.stages.bundling import supply
from edgeproof.stages.counting import counts_with
from edgeproof.stages.judging import runnable_artifacts
from edgeproof.workspace import Workspace

DEFAULT_RUNTIMES = tuple(name for name, runtime in RUNTIMES.items() if runtime.suffix == ".tflite")
_TIMED_PERCENTILE = 50


def calibrate(workspace: Workspace, console: Console, *, address: str, board: str | None, runtimes: Sequence[str], seconds: float) -> Calibration:
    """Time on the real board, predict on the simulated one, compare. Nothing is kept but the measured result, in `latency/`:
    the predictions are by the published scale, which nobody should find there as the newest ones.

    board: which one it is, where it does not say so itself. InputError for a machine that is none of the boards, for times that are INVALID,
    and for too few artifacts; RuntimeMissingError without LLVM.
    """
    check_measuring(seconds)
    _ = scales_of_all(), Analyser(cache_folder()).version  # before minutes of work, not after
    check_enough(sum(bool(able_runtimes(artifact, runtimes)) for artifact in runnable_artifacts(workspace, runtimes)))
    name = _which(address, board, console)
    simulated, published = SimulatedTarget(BOARDS[name], supply(console), cache_folder()), board_times(name)
    simulated.require(counting=True)
    results = bench(workspace, console, targets=[address], runtimes=runtimes, seconds=seconds)
    measured = next(result for result in results if isinstance(result, LatencyResult))
    if measured.validity.startswith(INVALID):
        raise InputError(f"Times of {measured.target} are {measured.validity}. They calibrate nothing: mend that, and try again.")
    predicted = counts_with(published, workspace, console, simulated, runtimes)
    timings = pair(measured, predicted)
    facts = {**_facts(measured), "simulated_with": {name: predicted.fields[name] for name in ("emulator", "llvm", "python")}}
    return Calibration(name, to_fields(find_scale(timings, published), timings, published, facts))


def _which(address: str, board: str | None, console: Console) -> str:
    """The name of the board at an address."""
    if board is not None and board not in BOARDS:
        raise unknown_name("board", board, BOARDS)
    model = ask_model(address)
    found = board_called(model)
    place, called = Address.parse(address), model or "a machine that does not say what it is"
    if found is None and board is None:
        raise TargetError(f"{place} is {called}, none of {', '.join(BOARDS)}: if it has the processor of one of them, name that with --board.")
    if found is not None and board not in (None, found.name):
        raise TargetError(f"{place} is {called}, that is {found.name} and not {board}: leave --board out.")
    name = board or (found.name if found else "")
    console.say(f"{place} is {called}: predictions for {PREFIX}{name} are compared with it.")
    return name


def pair(measured: LatencyResult, predicted: CountResult) -> list[Timing]:
    """What was both timed and predicted, by the same version of a runtime."""
    timings = []
    for row in predicted.rows:
        facts = row.fields
        timed = measured.find(facts["artifact"], facts["runtime"])
        if timed is None or timed.fields["runtime_version"] != facts["runtime_version"]:
            continue
        for scope in SCOPES:
            median, prediction = timed.percentile_us(_TIMED_PERCENTILE, scope), row.predicted(scope)
            if median is not None and prediction is not None:
                timings.append(_timing(facts, scope, median, prediction))
    return timings


def _timing(facts: Mapping[str, Any], scope: str, median_us: float, predicted: Prediction) -> Timing:
    identity = {name: facts[name] for name in ("artifact", "format", "sha256", "runtime", "runtime_version")}
    measured, *times = (round(time, 6) for time in (median_us / 1000, predicted.milliseconds, predicted.low, predicted.high))
    return Timing(**identity, scope=scope, measured_ms=measured, predicted_ms=times[0], predicted_low_ms=times[1], predicted_high_ms=times[2])


def _facts(measured: LatencyResult) -> dict[str, object]:
    """Where and when it was, and what that machine is."""
    board, host = measured.fields["board"], measured.fields["host"]
    return {
        "host": measured.target,
        "utc": datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ"),
        **{name: board[name] for name in ("model", "governor", "clock_max_khz")},
        **{name: host[name] for name in ("cpu", "kernel", "python")},
    }
