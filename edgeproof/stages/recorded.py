"""What was measured in a workspace, read back. A file that is damaged, foreign or newer is named and left out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.counts import KIND, CountResult, read_counts
from benchmarks.history import FILE, HistoryLine, read_history
from benchmarks.operator_results import PartResult, read_parts
from benchmarks.outputs import file_part
from benchmarks.peers import read_peers
from benchmarks.reading import DAMAGE, newest, read_all
from benchmarks.results import LatencyResult, read_result
from benchmarks.validity import INVALID
from edge_runtime.errors import InputError
from edgeproof.console import Console
from edgeproof.stages.peering import RECORD
from edgeproof.workspace import Workspace

_SESSION = re.compile(r"(?P<place>.+?)(?P<layers>-layers)?-(?P<utc>\d{8}T\d{6}Z)\.json")


@dataclass
class Recorded:
    """Sessions, newest first."""

    latency: list[LatencyResult] = field(default_factory=list)
    invalid: list[LatencyResult] = field(default_factory=list)
    counted: list[CountResult] = field(default_factory=list)


def _sessions(workspace: Workspace, *, layers: bool = False) -> dict[str, list[Path]]:
    """The files of results by the part of their names that tells the target, each target's newest first."""
    found: dict[str, list[Path]] = {}
    names = {path: name for path in (workspace / "latency").glob("*.json") if (name := _SESSION.fullmatch(path.name))}
    for path in sorted(names, key=lambda path: names[path]["utc"], reverse=True):
        if bool(names[path]["layers"]) == layers:
            found.setdefault(names[path]["place"], []).append(path)
    return found


def recorded(workspace: Workspace, console: Console) -> Recorded:
    """Every readable session of every target."""
    found = Recorded()
    paths = [path for of_target in _sessions(workspace).values() for path in of_target]
    for result in sorted(read_all(paths, _read, console.say), key=lambda result: str(result.fields["utc"]), reverse=True):
        if isinstance(result, CountResult):
            found.counted.append(result)
        else:
            (found.invalid if result.validity.startswith(INVALID) else found.latency).append(result)
    return found


def _read(path: Path) -> LatencyResult | CountResult:
    return read_counts(path) if _kind(path) == KIND else read_result(path)


def _kind(path: Path) -> str | None:
    try:
        fields = json.loads(path.read_text())
    except DAMAGE:  # the reader of latencies says what is wrong
        return None
    return fields.get("kind") if isinstance(fields, dict) else None


def results_of(workspace: Workspace, console: Console, target: str = "local") -> list[LatencyResult]:
    """The readable latency results of a target, newest first; the others, and those that are INVALID, are named and left out."""
    return read_all(_sessions(workspace).get(file_part(target), []), _read_valid, console.say)


def _read_valid(path: Path) -> LatencyResult:
    result = read_result(path)
    if result.validity.startswith(INVALID):
        raise InputError(f"{path} is {result.validity}")
    return result


def recorded_layers(workspace: Workspace, console: Console) -> list[PartResult]:
    """The newest readable costs of layers of each target."""
    found = [newest(paths, read_parts, console.say) for paths in _sessions(workspace, layers=True).values()]
    return [result for result in found if result]


def recorded_history(workspace: Workspace, console: Console) -> list[HistoryLine]:
    """The lines of `latency/history.jsonl`, oldest first."""
    lines, problems = read_history(workspace / FILE)
    for problem in problems:
        console.say(f"left out: {problem}")
    return lines


def recorded_peers(workspace: Workspace, console: Console) -> Mapping[str, Any] | None:
    """The fields of `peers/peers.json`; None where nothing was compared, or the file cannot be read."""
    if not workspace.has(RECORD):
        return None
    try:
        return read_peers(workspace / RECORD)
    except InputError as error:
        console.say(f"left out: {error}")
        return None
