"""Does the measuring loop find a difference where there is one, and none where there is none? One file timed against itself, over and over.

Each trial opens the file twice, in a fresh order of memory, and takes turns with the two in short sessions by the product's own loop, blocks and
statistics. A slowdown is executed, not computed: after each inference, inside what is timed, one side runs an empty Python loop as long as the
wanted share of an inference. The other side runs the same loop zero times.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.statistics import differs, ratio_interval
from edge_runtime.classifier import Classifier
from edge_runtime.errors import RuntimeProblem
from edge_runtime.timing import MIN_BLOCK_RUNS, TIMED_IMAGES, TimedModel
from edgeproof.workspace import Workspace
from evidence.findings import ROOT, Finding, Places

PAIRS, SLOWED, UNSLOWED = 100, 100, 200
SLOWDOWN = 0.05
LEAST_CALLED, MOST_CALLED, MOST_OFF = 0.95, 0.02, 0.01
ROUNDS = 40
WARM_UP_BLOCKS = 3
_LOOP_TURNS, _LOOPS = 200, 200  # below 257 turns Python counts with integers that it keeps, above it makes each anew: that would be slower
PLACES = (  # of recipe compact: the fastest there is, to the slowest
    ("tflite-int8", "ai-edge-litert"),
    ("onnx-int8", "onnxruntime"),
    ("tflite-float32", "tflite-runtime"),
    ("tflite-int8", "tflite-runtime"),
)
_ALONE = "import sys; from evidence.measuring import measure_here; measure_here(*sys.argv[1:])"


@dataclass(frozen=True)
class Trial:
    """One pair: what was put into its second side (None: not even the hook for it), and the ratio second / first with its interval."""

    slowdown: float | None
    ratio: float
    low: float
    high: float

    @property
    def called(self) -> bool:
        return differs(self.ratio, self.low, self.high)


def prove(places: Places) -> list[Finding]:
    return findings(run_trials(places.workspaces["compact"], PAIRS, SLOWED, UNSLOWED), places.command("measuring"))


def run_trials(workspace: Workspace, pairs: int, slowed: int, unslowed: int) -> list[Trial]:
    """So many of each kind, in random order, dealt out evenly to files and runtimes."""
    artifacts = {artifact.format: artifact.path for artifact in workspace.artifacts()}
    plan: list[float | None] = [None] * pairs + [SLOWDOWN] * slowed + [0.0] * unslowed
    order = np.random.default_rng(0).permutation(len(plan))
    with tempfile.TemporaryDirectory(prefix="edgeproof-") as folder:
        images = Path(folder) / "images.npy"
        np.save(images, workspace.read_arrays("validation.npz")["images"][:TIMED_IMAGES])
        trials: list[Trial] = []
        for number, (format, runtime) in enumerate(PLACES):
            mine = [plan[index] for index in order[number :: len(PLACES)]]
            command = [sys.executable, "-c", _ALONE, str(artifacts[format]), runtime, str(images), json.dumps(mine)]
            done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)  # evidence is not installed: found from there
            if done.returncode:
                raise RuntimeProblem(f"Timing {format} on {runtime} failed: {done.stderr.strip().splitlines()[-1]}")
            trials += [Trial(*fields) for fields in json.loads(done.stdout.splitlines()[-1])]
    return trials


def measure_here(model: str, runtime: str, images_file: str, plan: str) -> None:
    """Prints a JSON list of [slowdown, ratio, low, high], one a trial of the plan."""
    images = np.load(images_file)
    print(json.dumps([[slowdown, *trial(Path(model), runtime, images, slowdown, seed)] for seed, slowdown in enumerate(json.loads(plan))]))


def trial(model: Path, runtime: str, images: np.ndarray, slowdown: float | None, seed: int) -> tuple[float, float, float]:
    """(ratio, low, high) of the second opening of a file to its first, by blocks in random order."""
    sides = [TimedModel(classifier, images) for classifier in (Classifier.load(model, runtime), Classifier.load(model, runtime))]
    usual_ns = min(float(np.median(side.block(MIN_BLOCK_RUNS)[1])) for side in sides for _ in range(WARM_UP_BLOCKS))
    if slowdown is not None:
        for side, share in zip(sides, (0.0, slowdown), strict=True):
            work_longer(side.classifier, round(share * usual_ns / turn_ns()))
    order, medians = np.random.default_rng(seed), np.empty((2, ROUNDS))
    for number in range(ROUNDS):
        for side in order.permutation(2):
            medians[side, number] = np.median(sides[side].block(MIN_BLOCK_RUNS)[1])
    return ratio_interval(medians[1], medians[0])


def work_longer(classifier: Classifier, turns: int) -> None:
    """From now on an inference takes so many turns of an empty loop longer."""
    invoke = classifier.model.invoke

    def invoke_and_work() -> None:
        invoke()
        for _ in range(turns):
            pass

    classifier.model.invoke = invoke_and_work


def turn_ns() -> float:
    """What a turn of an empty loop takes here and now."""
    times = []
    for _ in range(_LOOPS):
        begin = time.perf_counter_ns()
        for _ in range(_LOOP_TURNS):
            pass
        times.append(time.perf_counter_ns() - begin)
    return float(np.median(times)) / _LOOP_TURNS


def findings(trials: Sequence[Trial], command: str) -> list[Finding]:
    against_itself, slowed, unslowed = ([trial for trial in trials if trial.slowdown == kind] for kind in (None, SLOWDOWN, 0.0))
    middle = float(np.median([trial.ratio for trial in against_itself]))
    ends = np.quantile([trial.ratio for trial in against_itself], (0.05, 0.95))
    added = 100 * (float(np.median([trial.ratio for trial in slowed])) - 1)
    found, falsely = (sum(trial.called for trial in kind) for kind in (slowed, unslowed))
    method = f"{ROUNDS} rounds of {MIN_BLOCK_RUNS} runs a trial, {len(PLACES)} files and runtimes"
    worst = max((abs(trial.ratio - 1) for trial in unslowed), default=0.0)
    return [
        Finding(
            f"A/A: the median ratio of {len(against_itself)} pairs of the same artifact",
            f"1.00 ± {MOST_OFF}",
            f"{middle:.4f}; 90 % of the pairs within {ends[0]:.3f} to {ends[1]:.3f}; {method}",
            abs(middle - 1) <= MOST_OFF,
            command,
        ),
        Finding(
            f"a slowdown of {SLOWDOWN:.0%}, executed on one side, is called",
            f"in ≥ {LEAST_CALLED:.0%} of {len(slowed)} trials",
            f"{found} of {len(slowed)}; median slowdown measured {added:.1f} %",
            found >= LEAST_CALLED * len(slowed),
            command,
        ),
        Finding(
            "the same hook with nothing to do on either side is called",
            f"in ≤ {MOST_CALLED:.0%} of {len(unslowed)} trials",
            f"{falsely} of {len(unslowed)}; the largest difference measured {100 * worst:.1f} %",
            falsely <= MOST_CALLED * len(unslowed),
            command,
        ),
    ]
