"""How good predicted times are: on networks with published times, twice from nothing, and in telling which of two files is faster."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from benchmarks.boards import BOARDS
from benchmarks.instructions import count_instructions
from benchmarks.matrix import Artifact
from benchmarks.mca import Analyser
from benchmarks.predict import TIMES, Prediction, digits, faster, predict_times
from benchmarks.targets.simulated import PREFIX, SIMULATED, SimulatedTarget
from edge_runtime.errors import RuntimeProblem
from edgeproof.cache import cache_folder
from edgeproof.console import Console
from edgeproof.stages.bundling import supply
from evidence.findings import Finding, Places

MOST_MEAN, MOST_WORST, LEAST_COVERED, MOST_APART = 0.08, 0.25, 0.8, 0.005
RUNTIME, ORDERED = "ai-edge-litert", ("pi4", "pi5")
FORMATS = ("tflite-float32", "tflite-float16", "tflite-dynamic", "tflite-int8", "tflite-int8-ptq")


def prove(places: Places) -> list[Finding]:
    command = places.command("prediction")
    artifacts = [artifact for workspace in places.workspaces.values() for artifact in workspace.artifacts() if artifact.format in FORMATS]
    images = places.workspaces["compact"].read_arrays("validation.npz")["images"]
    return [*published(command), *(finding for board in ORDERED for finding in on_board(board, artifacts, images, command))]


def published(command: str) -> list[Finding]:
    """What `python -m evidence.boards` found, board by board."""
    target = f"mean at most {MOST_MEAN:.0%}, worst at most {MOST_WORST:.0%}, at least {LEAST_COVERED:.0%} in their intervals"
    findings = []
    for board, fields in json.loads(TIMES.read_text())["boards"].items():
        errors, covered, networks = fields["leave_one_out"], fields["covered"], fields["networks"]
        met = errors["mean"] <= MOST_MEAN and errors["worst"] <= MOST_WORST and covered >= LEAST_COVERED * networks
        figure = f"mean {errors['mean']:.1%}, worst {errors['worst']:.1%}, {covered} of {networks} in their intervals"
        claim = f"{BOARDS[board].title}: ncnn's networks, each predicted without itself, against published times"
        findings.append(Finding(claim, target, figure, met, command))
    return findings


def on_board(board: str, artifacts: Sequence[Artifact], images: np.ndarray, command: str) -> list[Finding]:
    """The same files predicted twice, each time with nothing remembered; and the order they are predicted in."""
    target = SimulatedTarget(SIMULATED[f"{PREFIX}{board}"], supply(Console()), cache_folder())
    first, second = (_predict(target, artifacts, images) for _ in range(2))
    apart = max(abs(one.cycles / other.cycles - 1) for one, other in zip(first, second, strict=True))
    names = [artifact.path.name for artifact in artifacts]
    claim = f"{target.name}: {len(names)} files on {RUNTIME}, predicted twice with nothing remembered: cycles of an inference"
    same = Finding(claim, f"within {MOST_APART:.1%}", f"at most {apart:.2%} apart", apart <= MOST_APART, command)
    return [same, ordered(target.name, names, first, command)]


def ordered(target: str, names: Sequence[str], times: Sequence[Prediction], command: str) -> Finding:
    """From the fastest on; pairs whose intervals overlap are not decided, neighbours among them are joined by "?"."""
    order = sorted(range(len(times)), key=lambda index: times[index].milliseconds)
    pairs = [faster(times[one], times[other]) for one, other in combinations(order, 2)]
    text = ""
    for before, index in zip([None, *order], order, strict=False):
        sign = "" if before is None else " ? " if faster(times[before], times[index]) is None else " < "
        text += f"{sign}{names[index]} {digits(times[index].milliseconds)} ms ({times[index].interval})"
    claim = f"{target}: files by predicted time, with its interval; which of two is faster is said only where their intervals are apart"
    figure = f"{len(pairs) - pairs.count(None)} of {len(pairs)} pairs decided: {text}"
    return Finding(claim, "no pair decided against its predicted times", figure, False not in pairs, command)


def _predict(target: SimulatedTarget, artifacts: Sequence[Artifact], images: np.ndarray) -> list[Prediction]:
    counted = count_instructions(artifacts, images, target, runtimes=[RUNTIME])
    for one in counted:
        if one.reason:
            raise RuntimeProblem(f"{one.artifact.path.name} on {target.name}: {one.reason}")
    with tempfile.TemporaryDirectory(prefix="edgeproof-") as empty:
        return [scopes["invoke"] for scopes in predict_times(target.board.name, counted, Analyser(Path(empty)))]
