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
from benchmarks.reading import DAMAGE
from benchmarks.results import LatencyResult, read_result
from benchmarks.validity import INVALID
from edge_runtime.errors import InputError
from edgeproof.console import Console
from edgeproof.stages.peering import RECORD
from edgeproof.workspace import Workspace

_SESSION = re.compile(r".+(?<!-layers)-\d{8}T\d{6}Z\.json")


@dataclass
class Recorded:
    """Sessions, newest first."""

    latency: list[LatencyResult] = field(default_factory=list)
    invalid: list[LatencyResult] = field(default_factory=list)
    counted: list[CountResult] = field(default_factory=list)


def recorded(workspace: Workspace, console: Console) -> Recorded:
    """Every readable session of every target."""
    found = Recorded()
    paths = [path for path in (workspace / "latency").glob("*.json") if _SESSION.fullmatch(path.name)]
    for path in sorted(paths, key=lambda path: path.stem.rsplit("-", 1)[1], reverse=True):
        try:
            if _kind(path) == KIND:
                found.counted.append(read_counts(path))
                continue
            result = read_result(path)
            (found.invalid if result.validity.startswith(INVALID) else found.latency).append(result)
        except InputError as error:
            console.say(f"left out: {error}")
    return found


def _kind(path: Path) -> str | None:
    try:
        fields = json.loads(path.read_text())
    except DAMAGE:  # the reader of latencies says what is wrong
        return None
    return fields.get("kind") if isinstance(fields, dict) else None


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


def recorded_layers(workspace: Workspace, console: Console) -> list[PartResult]:
    """The newest readable costs of layers of each target."""
    found: dict[str, PartResult] = {}
    for path in sorted((workspace / "latency").glob("*-layers-????????T??????Z.json"), reverse=True):
        place = path.name.rsplit("-layers-", 1)[0]
        try:
            found[place] = found.get(place) or read_parts(path)
        except InputError as error:
            console.say(f"left out: {error}")
    return list(found.values())


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
