"""What `bench --compare REF` means on each target: an earlier result, or earlier files to measure side by side with the present ones."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import compare, compare_times
from benchmarks.compare import check_slowdown
from benchmarks.counts import CountResult, CountRow
from benchmarks.limits import Verdict
from benchmarks.matrix import Artifact, able_runtimes
from benchmarks.reading import unheard
from benchmarks.results import LatencyResult, LatencyRow
from benchmarks.targets.simulated import SIMULATED
from edge_runtime.board import host_facts
from edge_runtime.errors import InputError, RuntimeProblem
from edge_runtime.worker import run_in_subprocess
from edgeproof.stages.judging import runnable_artifacts
from edgeproof.stages.model_file import ModelFile
from edgeproof.workspace import Workspace

_MODELS = (".tflite", ".onnx")
_MANIFEST = "artifacts/manifest.json"


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
    """The rows of our own files on runtimes that --runtime did not leave out. InputError when there is none."""
    rows = [row for row in result.fields["rows"] if row["peer"] is None and (not runtimes or row["runtime"] in runtimes)]
    if runtimes and not rows:
        raise InputError(f"The reference of {result.target} has no row on {', '.join(runtimes)}.")
    return LatencyResult({**result.fields, "rows": rows})


def references_of(
    place: Path | None,
    targets: Sequence[str],
    most_percent: float | None = None,
    *,
    workspace: Workspace | None = None,
    runtimes: Sequence[str] = (),
    threads: Sequence[int] = (1,),
    rate_hz: float | None = None,
    say: Callable[[str], None] = unheard,
) -> References:
    """Read before minutes of work; `say` hears of results that cannot be read. workspace: what is to be compared.

    InputError when a target has no reference there, or one of unlike conditions, or with no row in common.
    """
    real = [name for name in targets if name not in SIMULATED]
    if most_percent is not None:
        check_slowdown(most_percent)
        if real:
            compare_times.check_slowdown_of_times(most_percent)
    if place is None:
        return References({}, {}, (), most_percent)
    if not place.exists():
        raise InputError(f"--compare {place}: there is no such file or folder.")
    if len(real) < len(targets) and place.suffix in _MODELS:
        raise InputError(f"Simulated boards compare with a result or a workspace, not with a model file: {place}.")
    results = place / "latency" if (place / _MANIFEST).is_file() else place  # a workspace's
    counted = {name: compare.find_reference(results, name, say) for name in targets if name in SIMULATED}
    files = files_in(place) if real else []
    timed = {} if files else {name: compare_times.find_timed(place, name, say) for name in real}
    for target, earlier in timed.items():
        _check_before(target, _asked_for(earlier, runtimes), threads, rate_hz)
    held: dict[str, Sequence[LatencyRow | CountRow]] = {name: result.rows for name, result in counted.items()}
    held |= {name: result.rows for name, result in timed.items()}
    for target, rows in held.items():
        _check_common(target, rows, workspace, runtimes)
    return References(counted, timed, tuple(files), most_percent)


def files_in(place: Path) -> list[Artifact]:
    """The models that a file, a workspace or a folder is; none where it is something else. InputError when one cannot be read."""
    if place.suffix in _MODELS:
        return [_artifact(place)]
    if (place / _MANIFEST).is_file():
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
    compare_times.check_judged(earlier)
    for runtime in {row.key[1] for row in earlier.rows} if name == "local" else ():
        with contextlib.suppress(RuntimeProblem):  # what cannot run is lost, with the reason
            facts = run_in_subprocess({"job": "doctor"}, runtime)
            for row in earlier.rows:
                if row.key[1] == runtime:
                    compare_times.check_runtime({"runtime_version": facts["runtime_version"]}, row)


def _check_common(target: str, rows: Sequence[LatencyRow | CountRow], workspace: Workspace | None, runtimes: Sequence[str]) -> None:
    """InputError when not a single row can be compared: of other files, or on other runtimes."""
    held = {row.key[:2] for row in rows if not runtimes or row.key[1] in runtimes}
    if not held:
        raise InputError(f"The reference of {target} has no row{' on ' * bool(runtimes)}{', '.join(runtimes)}.")
    if workspace is None:
        return
    own = {(artifact.path.name, name) for artifact in runnable_artifacts(workspace, runtimes) for name in able_runtimes(artifact, runtimes)}
    if not own & held:
        raise InputError(
            f"The reference of {target} has no row in common with {workspace.path}: it has {', '.join(sorted({key[0] for key in held}))}."
        )
