"""Is what edgeproof makes as fast as the best that one would have made by hand, on every runtime?"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.latency import Contestant, block_medians, measure
from benchmarks.peers import OURS
from benchmarks.targets import find_target
from edge_runtime.errors import EdgeproofError
from edgeproof.console import Console
from edgeproof.stages.peering import made_peers
from edgeproof.workspace import Workspace
from evidence.findings import Finding, Places

SLOWEST = 1.02  # times the best peer
SESSIONS = 9
SECONDS = 1.0  # of samples for each file in each session
OUR_FORMATS = {"ai-edge-litert": "tflite-int8", "tflite-runtime": "tflite-int8", "onnxruntime": "onnx-int8", "openvino": "onnx-int8"}

# Of one runtime: medians of the blocks (nanoseconds) of ours and of each peer, one array a session.
Sessions = Mapping[str, Sequence[np.ndarray]]


def prove(places: Places) -> list[Finding]:
    command = places.command("peers")
    return [finding for name, place in places.workspaces.items() for finding in against_peers(name, place, command)]


def against_peers(name: str, workspace: Workspace, command: str, sessions: int = SESSIONS, seconds: float = SECONDS) -> list[Finding]:
    """One finding a runtime. Each session has worker processes of its own: where a file's weights come to lie in one is worth up to 2 %."""
    images = workspace.read_arrays("validation.npz")["images"]
    ours = [artifact for artifact in workspace.artifacts() if artifact.format in OUR_FORMATS.values()]
    with tempfile.TemporaryDirectory(prefix="edgeproof-") as folder, made_peers(workspace, Console(), Workspace(Path(folder))) as (made, beside):
        timed = [measure([*ours, *beside], images, find_target("local"), seconds=seconds) for _ in range(sessions)]
        left_out = {item.peer.title: item.reason for item in made if item.reason}
    findings = []
    for runtime in OUR_FORMATS:
        medians = _by_name([[one for one in session if one.runtime == runtime and not one.reason] for session in timed])
        if OURS in medians and len(medians) > 1:
            findings.append(_against_best(name, runtime, medians, left_out, command))
    if not findings:
        raise EdgeproofError(f"Nothing could be measured beside {workspace.path}: {'; '.join(left_out.values())}")
    return findings


def _by_name(sessions: Sequence[Sequence[Contestant]]) -> dict[str, list[np.ndarray]]:
    """Ours under OURS, peers under their names."""
    medians: dict[str, list[np.ndarray]] = {}
    for session in sessions:
        for contestant in session:
            blocks = block_medians(contestant)
            medians.setdefault(contestant.artifact.peer or OURS, []).append(blocks)
    return medians


def _against_best(name: str, runtime: str, medians: Sessions, left_out: Mapping[str, str], command: str) -> Finding:
    best = min((peer for peer in medians if peer != OURS), key=lambda peer: float(np.median(np.concatenate(medians[peer]))))
    ratio, low, high = ratio_of_sessions(medians[OURS], medians[best])
    missing = "" if not left_out else f"; not compared: {'; '.join(f'{title} ({reason})' for title, reason in left_out.items())}"
    peers = ", ".join(f"{peer} {_microseconds(medians[peer])}" for peer in medians if peer != OURS)
    return Finding(
        f"{name} on {runtime}: time of ours ({OUR_FORMATS[runtime]}, scope predict) against the best that other tools make of the same baseline",
        f"≤ {SLOWEST} times",
        f"{ratio:.3f} times {best} (95 % interval {low:.3f} to {high:.3f} over {len(medians[OURS])} sessions, {_certainty(low, high)}); "
        f"ours {_microseconds(medians[OURS])}, {peers}{missing}",
        ratio <= SLOWEST,
        command,
    )


def ratio_of_sessions(ours: Sequence[np.ndarray], peer: Sequence[np.ndarray]) -> tuple[float, float, float]:
    """(ratio, low, high): the mean of the sessions' ratios, each the median over its paired blocks, with a bootstrap interval over sessions."""
    pairs = [(top, bottom, min(len(top), len(bottom))) for top, bottom in zip(ours, peer, strict=True)]
    ratios = np.array([np.median(top[:rounds] / bottom[:rounds]) for top, bottom, rounds in pairs])
    picks = np.random.default_rng(0).integers(0, len(ratios), (4000, len(ratios)))
    low, high = np.quantile(ratios[picks].mean(axis=1), [0.025, 0.975])
    return float(ratios.mean()), float(low), float(high)


def _certainty(low: float, high: float) -> str:
    if high <= SLOWEST:
        return "within the target as a whole"
    return "beyond the target as a whole" if low > SLOWEST else "which reaches beyond the target"


def _microseconds(sessions: Sequence[np.ndarray]) -> str:
    return f"{float(np.median(np.concatenate(sessions))) / 1000:.1f} µs"
