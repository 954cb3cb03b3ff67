"""What the page is made from: everything known of one workspace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.boards import BOARDS
from benchmarks.counts import CountResult
from benchmarks.history import HistoryLine
from benchmarks.operator_results import PartResult
from benchmarks.outputs import Outputs
from benchmarks.results import LatencyResult, LatencyRow

LOCAL = "local"


@dataclass(frozen=True)
class Validation:
    """What everything was judged on: images uint8 [n, H, W, C], labels int64 [n], the baseline's probabilities [n, classes]."""

    images: np.ndarray
    labels: np.ndarray
    baseline: np.ndarray


@dataclass(frozen=True)
class Subject:
    """One workspace. Results come newest first; `outputs` gives the answers of a parity row by its number."""

    name: str  # what the page calls it
    option: str  # how a command names it: "" or " -w runs/seed"
    parity: Mapping[str, Any]
    manifest: Mapping[str, Any]
    dataset: Mapping[str, Any]
    training: Mapping[str, Any]
    validation: Validation
    outputs: Callable[[int], Outputs]
    latency: Sequence[LatencyResult] = ()
    invalid: Sequence[LatencyResult] = ()  # sessions whose times are not to be trusted
    counted: Sequence[CountResult] = ()  # of simulated boards
    peers: Mapping[str, Any] | None = None  # the fields of peers/peers.json
    layers: Sequence[PartResult] = ()  # the newest costs of layers of each target
    history: Sequence[HistoryLine] = ()  # oldest first

    @property
    def class_names(self) -> list[str]:
        return list(self.dataset.get("class_names") or map(str, range(self.validation.baseline.shape[1])))

    def sha256_of(self, artifact: str) -> str | None:
        """Of the file as it is now: what was measured of another of its name says nothing of it."""
        return (self.manifest["artifacts"].get(artifact) or {}).get("sha256")


def own_rows(subject: Subject, result: LatencyResult) -> list[LatencyRow]:
    """The measured rows of files that the workspace still has: one thread, one run after the other. Peers have a table of their own."""
    usual = [row for row in result.rows if row.threads == 1 and row.rate_hz is None and not row.fields["peer"]]
    return [row for row in usual if row.fields["sha256"] == subject.sha256_of(row.fields["artifact"])]


def newest_by_target(subject: Subject, results: Sequence[LatencyResult]) -> dict[str, LatencyResult]:
    """The newest session of each target that timed files which the workspace still has."""
    return {result.target: result for result in reversed(results) if own_rows(subject, result)}


def sessions(subject: Subject) -> list[LatencyResult]:
    """The newest session of each target, and one that is INVALID where it is newer, or where there is no other."""
    valid, invalid = (newest_by_target(subject, results) for results in (subject.latency, subject.invalid))
    newer = [result for target, result in invalid.items() if target not in valid or result.fields["utc"] > valid[target].fields["utc"]]
    return [*valid.values(), *newer]


def target_title(target: str) -> str:
    """How people call a target: "this machine", "Raspberry Pi 4, simulated", or the board's address."""
    if target == LOCAL:
        return "this machine"
    board = BOARDS.get(target.removeprefix("sim-")) if target.startswith("sim-") else None
    return f"{_short(board.title)}, simulated" if board else target


def _short(title: str) -> str:
    """A board's name without its revision."""
    return title.split(" Rev ")[0].replace(" Model B Plus", " B+").replace(" Model B", "")


def day(utc: str) -> str:
    """20261122T194500Z to 2026-11-22."""
    return f"{utc[:4]}-{utc[4:6]}-{utc[6:8]}"
