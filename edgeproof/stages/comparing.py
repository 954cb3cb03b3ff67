"""What `bench --compare REF` means on each target: an earlier result, or earlier files to measure side by side with the present ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import compare, compare_times
from benchmarks.compare import check_slowdown
from benchmarks.counts import CountResult
from benchmarks.limits import Verdict
from benchmarks.matrix import Artifact
from benchmarks.results import LatencyResult
from benchmarks.targets.simulated import SIMULATED
from edge_runtime.board import host_facts
from edge_runtime.errors import InputError
from edgeproof.console import Console
from edgeproof.stages.model_file import ModelFile
from edgeproof.workspace import Workspace

_MODELS = (".tflite", ".onnx")


@dataclass(frozen=True)
class References:
    """What is compared with on each target; empty without --compare."""

    counted: Mapping[str, CountResult]
    timed: Mapping[str, LatencyResult]
    files: tuple[Artifact, ...]  # to be measured in the same session
    most_percent: float | None  # None for each kind's default

    def judge(self, result: LatencyResult | CountResult, runtimes: Sequence[str]) -> tuple[Verdict, dict[str, Any]] | None:
        """The verdict and what a program is told of it; None where nothing is compared. InputError for unlike results."""
        if isinstance(result, CountResult):
            if result.target not in self.counted:
                return None
            percent = compare.DEFAULT_SLOWDOWN_PERCENT if self.most_percent is None else self.most_percent
            counts = compare.compare(result, self.counted[result.target], percent, runtimes=runtimes)
            fields = {"passed": counts.passed, "max_slowdown_percent": percent, "lines": compare.sentences(counts)}
            return (Verdict.PASS if counts.passed else Verdict.FAIL), fields
        percent = compare_times.DEFAULT_SLOWDOWN_PERCENT if self.most_percent is None else self.most_percent
        if result.target in self.timed:
            times = compare_times.compare_normalised(result, _asked_for(self.timed[result.target], runtimes), percent)
        elif self.files:
            times = compare_times.compare_side_by_side(result, percent)
        else:
            return None
        return times.verdict, {**times.to_dict(), "max_slowdown_percent": percent}


def _asked_for(result: LatencyResult, runtimes: Sequence[str]) -> LatencyResult:
    """The rows on runtimes that --runtime did not leave out."""
    rows = [row for row in result.fields["rows"] if not runtimes or row["runtime"] in runtimes]
    return LatencyResult({**result.fields, "rows": rows})


def references_of(
    place: Path | None,
    targets: Sequence[str],
    console: Console,
    most_percent: float | None = None,
    *,
    threads: Sequence[int] = (1,),
    rate_hz: float | None = None,
) -> References:
    """Read before minutes of work. InputError when a target has no reference there, or one of unlike conditions."""
    if most_percent is not None:
        check_slowdown(most_percent)
    if place is None:
        return References({}, {}, (), most_percent)
    counted = {name: compare.find_reference(place, name, console.say) for name in targets if name in SIMULATED}
    real = [name for name in targets if name not in SIMULATED]
    files = files_in(place) if real else []
    timed = {} if files else {name: compare_times.find_timed(place, name, console.say) for name in real}
    for name, earlier in timed.items():
        _check_before(name, earlier, threads, rate_hz)
    return References(counted, timed, tuple(files), most_percent)


def files_in(place: Path) -> list[Artifact]:
    """The models that a file, a workspace or a folder is; none where it is something else. InputError when one cannot be read."""
    if place.suffix in _MODELS:
        return [_artifact(place)]
    if (place / "artifacts/manifest.json").is_file():
        return Workspace(place).artifacts()
    return [_artifact(path) for path in sorted(place.glob("*")) if path.suffix in _MODELS]


def _artifact(path: Path) -> Artifact:
    model = ModelFile.read(path)
    if model.metadata is None:
        raise InputError(
            f"{path} does not say what it takes: judge it first (edgeproof parity --baseline … --export {path}), and compare the workspace."
        )
    return model.artifact(None)


def _check_before(name: str, earlier: LatencyResult, threads: Sequence[int], rate_hz: float | None) -> None:
    """What can be known to be unlike before anything is measured."""
    asked = [{"threads": count, "rate_hz": rate_hz, "reason": ""} for count in threads]
    host = host_facts() if name == "local" else earlier.fields["host"]
    session = {"target": name, "host": host, "board": earlier.fields.get("board"), "aa": None, "rows": asked}
    compare_times.check_alike(LatencyResult(session), earlier)
