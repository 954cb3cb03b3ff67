"""Networks with published times, run on simulated boards.

A folder holds `NAME.param` files (graphs of ncnn) and `published.json`:

    {source, input_pixels: {NAME: side}, boards: {BOARD: {name, core, clock_ghz, one_thread_ms: {NAME: milliseconds}}}}
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.boards import BOARDS
from benchmarks.caches import CACHES, read_traffic
from benchmarks.instructions import Block, read_windows
from benchmarks.predict import per_inference
from benchmarks.targets.kept import kept
from benchmarks.targets.simulated import PLUGINS, SimulatedTarget
from edge_runtime.errors import InputError, RuntimeProblem
from edge_runtime.progress import Progress
from export.wheels import fetch, unpack

NCNN = "1.0.20250503"
_JOB = Path(__file__).with_name("ncnn_job.py")
_PIXELS = 224  # where the folder does not say
_EMPTY, _ONE = 1, 2  # windows of the job


@dataclass(frozen=True)
class Published:
    """What a folder says of the boards."""

    folder: Path
    source: str
    pixels: Mapping[str, int]
    milliseconds: Mapping[str, Mapping[str, float]]  # by board and network

    @property
    def graphs(self) -> list[str]:
        return sorted(path.stem for path in self.folder.glob("*.param"))


@dataclass(frozen=True)
class Ran:
    """One network on one simulated board: one inference."""

    board: str
    network: str
    blocks: Mapping[Block, float]
    traffic: Mapping[str, float]


def read_published(folder: Path) -> Published:
    """InputError when the folder holds something else."""
    try:
        fields: dict[str, Any] = json.loads((folder / "published.json").read_text())
        times = {board: dict(facts["one_thread_ms"]) for board, facts in fields["boards"].items()}
        for board, facts in fields["boards"].items():
            clock, core = BOARDS[board].clock_mhz, BOARDS[board].core
            if (round(1000 * facts["clock_ghz"]), facts["core"]) != (clock, core):
                raise InputError(f"{folder}/published.json has {board} as {facts['core']} at {facts['clock_ghz']} GHz, not {core} at {clock} MHz.")
        return Published(folder, fields["source"], fields.get("input_pixels", {}), times)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder} holds no published times ({type(error).__name__}: {error}): expected published.json beside *.param.") from None


def ncnn_packages(target: SimulatedTarget, cache: Path) -> Path:
    """The folder with ncnn for the board, fetched once."""
    wheel = fetch({"ncnn": NCNN}, target.board.machine, cache)["ncnn"]
    return kept(cache / "packages", ["ncnn", wheel.name], lambda folder: unpack("ncnn", wheel, folder))


def run_network(network: str, published: Published, target: SimulatedTarget, cache: Path, *, half: bool = True) -> Ran:
    """Run it, or read what it did the last time. Raises RuntimeProblem with the reason when ncnn cannot."""
    board = target.board
    graph = published.folder / f"{network}.param"
    pixels = published.pixels.get(network, _PIXELS)
    texts = [path.read_text() for path in (graph, _JOB, *PLUGINS)]
    digests = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    core = [board.core, board.part, board.variant, board.revision, board.features, CACHES[board.name].options()]  # two boards may share it
    made_from = [digests, NCNN, pixels, half, core, target.emulator()]

    def make(folder: Path) -> None:
        options = target.counting(folder / "blocks", folder / "traffic")
        command = target.python(ncnn_packages(target, cache), ("-P", str(_JOB), str(graph.resolve()), str(pixels), str(int(half))), options)
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
        if reason := done.stdout.strip():
            raise RuntimeProblem(reason)
        if done.returncode:  # ncnn says why on stderr, then crashes
            lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise RuntimeProblem(f"ncnn {NCNN} cannot run it ({lines[0]})")

    folder = kept(cache / "networks", made_from, make)
    windows, traffic = read_windows(folder / "blocks"), read_traffic(folder / "traffic")
    ran, empty = windows[_ONE], windows[_EMPTY]
    blocks = {block: executions - empty.get(block, 0) for block, executions in ran.items()}
    return Ran(board.name, network, blocks, per_inference(traffic[_ONE], traffic[_EMPTY], 1))


def run_all(
    published: Published, targets: Sequence[SimulatedTarget], cache: Path, progress: Progress
) -> tuple[dict[str, dict[str, Ran]], dict[str, str]]:
    """Every network on every board that it has a published time for; and why some did not run, by network."""
    pairs = [(network, target) for network in published.graphs for target in targets if network in published.milliseconds.get(target.board.name, {})]
    found: dict[str, dict[str, Ran]] = {target.board.name: {} for target in targets}
    reasons = {network: "no published time" for network in published.graphs if network not in {name for name, _ in pairs}}
    for index, (network, target) in enumerate(pairs):
        progress(index, len(pairs), f"{network} on {target.name}")
        if network in reasons:
            continue
        try:
            found[target.board.name][network] = run_network(network, published, target, cache)
        except RuntimeProblem as error:
            reasons[network] = str(error)
    return found, reasons
