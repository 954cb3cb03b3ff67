"""Instructions per inference on a simulated board, and the basic blocks they are made of.

One process a runtime runs every artifact, runtimes at once, under a plugin that writes down which blocks ran between two marks (targets/blocks.c,
edge_runtime/counting.py). A window holds so many inferences; the window that holds none is taken off. Nothing is sampled and nothing is
timed: the same files give the same counts, however busy the machine is.
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.caches import Traffic, read_traffic
from benchmarks.matrix import Artifact, able_runtimes
from benchmarks.targets.simulated import SimulatedTarget
from edge_runtime.counting import RUNS
from edge_runtime.errors import RuntimeProblem
from edge_runtime.progress import Progress, silent

EMPTY = "empty"
SCOPES = ("invoke", "predict")
COUNTED_IMAGES = 20  # in rotation, as many as a window has runs
_MAGIC = b"EDGEBLK1"


class Block(NamedTuple):
    """A basic block: where it is, and its instructions as the processor reads them (4 bytes each)."""

    address: int
    code: bytes

    @property
    def instructions(self) -> int:
        return len(self.code) // 4


Blocks = Mapping[Block, float]  # how often each ran


@dataclass
class Counted:
    """One artifact on one runtime: what ran, or why nothing did."""

    artifact: Artifact
    runtime: str
    facts: dict[str, Any] = field(default_factory=dict)
    runs: int = RUNS  # inferences in a window
    windows: dict[str, Blocks] = field(default_factory=dict)  # of "empty" and each of SCOPES, as executed
    traffic: dict[str, Traffic] = field(default_factory=dict)  # the same windows' misses of caches
    reason: str = ""

    def totals(self) -> dict[str, int]:
        """Instructions executed in each window."""
        return {scope: int(instructions(blocks)) for scope, blocks in self.windows.items()}

    def per_inference(self, scope: str) -> dict[Block, float]:
        """How often each block runs in one inference. The marks' own blocks come out at (nearly) none, some even below."""
        ran, empty = self.windows[scope], self.windows[EMPTY]
        return {block: (ran.get(block, 0) - empty.get(block, 0)) / self.runs for block in {**ran, **empty}}

    def count(self, scope: str) -> float:
        """Instructions of one inference."""
        return instructions(self.per_inference(scope))


def instructions(blocks: Blocks) -> float:
    """How many instructions executions of blocks are."""
    return sum(executions * block.instructions for block, executions in blocks.items())


def count_instructions(
    artifacts: Sequence[Artifact], images: np.ndarray, target: SimulatedTarget, *, runtimes: Sequence[str] = (), progress: Progress = silent
) -> list[Counted]:
    """Count all artifacts × runtimes on uint8 images [n, H, W, C]. One that cannot run keeps its reason."""
    counted = [Counted(artifact, runtime) for artifact in artifacts for runtime in able_runtimes(artifact, runtimes)]
    groups = [[one for one in counted if one.runtime == runtime] for runtime in dict.fromkeys(one.runtime for one in counted)]
    done = [0] * len(groups)
    with tempfile.TemporaryDirectory(prefix="edgeproof-") as folder, ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        images_file = Path(folder) / "images.npy"
        np.save(images_file, images[:COUNTED_IMAGES])

        def count_group(index: int) -> None:
            runtime = groups[index][0].runtime

            def tell(ready: int, total: int) -> None:
                done[index] = ready
                progress(sum(done), len(counted), runtime)

            _count_together(groups[index], images_file, Path(folder), target, tell)
            tell(len(groups[index]), len(groups[index]))

        list(pool.map(count_group, range(len(groups))))
    return counted


def _count_together(group: Sequence[Counted], images_file: Path, folder: Path, target: SimulatedTarget, tell: Callable[[int, int], None]) -> None:
    artifacts = [one.artifact for one in group]
    blocks_file, traffic_file = (folder / f"{group[0].runtime}.{kind}" for kind in ("blocks", "traffic"))
    models = {"models": [str(artifact.path) for artifact in artifacts], "assume": [artifact.assume for artifact in artifacts]}
    job = {"job": "count", **models, "images": str(images_file), "runs": RUNS, "threads": 1}
    try:
        answers = target.count(job, group[0].runtime, blocks_file, traffic_file, tell)["models"]
        windows, traffic = read_windows(blocks_file), read_traffic(traffic_file)
    except (RuntimeProblem, ValueError) as error:  # ValueError: a disk that was full
        for one in group:
            one.reason = str(error)
        return
    for one, answer in zip(group, answers, strict=True):
        one.reason = answer.pop("reason")
        numbers = answer.pop("windows", {})
        one.windows = {scope: windows[number] for scope, number in numbers.items()}
        one.traffic = {scope: traffic[number] for scope, number in numbers.items()}
        one.facts = answer


def read_windows(file: Path) -> dict[int, Blocks]:
    """The windows that the plugin wrote, by number; its format is described in targets/blocks.c. ValueError when it is cut or something else."""
    windows: dict[int, Blocks] = {}
    blocks: list[Block] = []
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content[: len(_MAGIC)] != _MAGIC:
            raise ValueError(f"{file} holds no blocks.")
        position = len(_MAGIC)
        try:
            while position < len(content):
                if content[position : position + 1] == b"B":
                    count, address = struct.unpack_from("<IQ", content, position + 1)
                    position += 13
                    blocks.append(Block(address, content[position : position + 4 * count]))
                    position += 4 * count
                else:
                    number, count = struct.unpack_from("<IQ", content, position + 1)
                    position += 13
                    windows[number] = _executions(blocks, np.frombuffer(content[position : position + 16 * count], "<u8").reshape(count, 2))
                    position += 16 * count
        except (struct.error, ValueError, IndexError):
            raise ValueError(f"{file} is cut at byte {position}.") from None
    return windows


def _executions(blocks: Sequence[Block], pairs: Iterable[np.ndarray]) -> Blocks:
    return {blocks[int(index)]: int(executions) for index, executions in pairs}
