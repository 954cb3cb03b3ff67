"""Which operator of a network costs what: the network cut after each of its operators, run beside the whole, and the differences.

On a simulated board instructions are counted, without sampling and without noise; elsewhere runs are timed, in turns. The parts and the call
of the runtime (a prefix without operators) are set against the whole, which is run by itself: what is left over is shown, not spread.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.caches import read_traffic
from benchmarks.instructions import COUNTED_IMAGES, EMPTY, Counted, read_windows
from benchmarks.layers import layers_in
from benchmarks.matrix import Artifact, able_runtimes
from benchmarks.targets.base import Target
from benchmarks.targets.simulated import SimulatedTarget
from edge_runtime.errors import RuntimeProblem
from edge_runtime.progress import Progress, silent

PREFIX_SCOPES = ("invoke",)  # a prefix answers no question: there is no label to take
RUNS = 4  # in a counted window: the counts repeat, and there are many windows; of a large network one
LARGE_MACS = 50_000_000
TIMED_IMAGES = 64  # in rotation; each prefix has all of them at hand


@dataclass(frozen=True)
class Step:
    """One operator: what it is, the Keras layers it computes (several where they were fused), its number type and multiply-accumulates."""

    operator: str
    layers: tuple[str, ...]
    dtype: str
    macs: int | None


@dataclass(frozen=True)
class Network:
    """An artifact, its operators in order, and the files of its prefixes, one more than operators. `reason`: why it could not be cut."""

    artifact: Artifact
    steps: tuple[Step, ...] = ()
    prefixes: tuple[Path, ...] = ()
    reason: str = ""

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference, as far as they are known."""
        return sum(step.macs or 0 for step in self.steps)


@dataclass
class Split:
    """One network on one runtime, its parts counted or timed, or why not."""

    network: Network
    runtime: str
    facts: dict[str, Any] = field(default_factory=dict)
    reason: str = ""
    whole: Counted | None = None  # counted
    prefixes: list[Counted] = field(default_factory=list)
    times: dict[str, np.ndarray] = field(default_factory=dict)  # timed: nanoseconds, "predict" and "invoke" [rounds], "prefixes" [prefixes, rounds]


def keras_layers(names: Iterable[str], known: Sequence[str]) -> tuple[str, ...]:
    """The Keras layers in the names of an operator's tensors; where none is known, what stands between the model's name and the operation's."""
    found: dict[str, None] = {}
    for name in names:
        found |= dict.fromkeys(layers_in(name, known))
        if found:
            return tuple(found)
    for name in names:
        inner = [path.split("/")[1] for path in name.split(";") if path.count("/") > 1]
        if inner:
            return tuple(dict.fromkeys(layer.removeprefix("quant_") for layer in inner))
    return ()


def split_all(
    networks: Sequence[Network],
    images: np.ndarray,
    target: Target,
    *,
    runtimes: Sequence[str] = (),
    threads: int = 1,
    seconds: float = 2.0,
    progress: Progress = silent,
    between: Callable[[], None] = lambda: None,
) -> list[Split]:
    """Every network × runtime on uint8 images [n, H, W, C]: counted on a simulated board, timed elsewhere. What cannot run keeps its reason.

    between: called between two, to look at a board.
    """
    splits = [Split(network, runtime, reason=network.reason) for network in networks for runtime in able_runtimes(network.artifact, runtimes)]
    shares = [0.0] * len(splits)
    with tempfile.TemporaryDirectory(prefix="edgeproof-") as folder:
        counting = isinstance(target, SimulatedTarget)
        images_file = Path(folder) / "images.npy"
        np.save(images_file, images[: COUNTED_IMAGES if counting else TIMED_IMAGES])

        def run(index: int) -> None:
            split = splits[index]

            def tell(done: int, total: int) -> None:
                shares[index] = done / total
                progress(int(1000 * sum(shares)), 1000 * len(splits), f"{split.network.artifact.format} on {split.runtime}")

            if not split.reason:
                if isinstance(target, SimulatedTarget):
                    _count(split, images_file, Path(folder) / str(index), target, tell)
                else:
                    _time(split, images_file, target, threads, seconds, tell)
            tell(1, 1)
            between()

        # Counts do not depend on what else the machine does; times would.
        with ThreadPoolExecutor(len(os.sched_getaffinity(0)) if counting else 1) as pool:
            list(pool.map(run, range(len(splits))))
    return splits


def _job(network: Network, images_file: Path) -> dict[str, Any]:
    artifact = network.artifact
    models = {"model": str(artifact.path), "assume": artifact.assume, "models": list(map(str, network.prefixes))}
    return {"job": "parts", **models, "images": str(images_file)}


def _count(split: Split, images_file: Path, files: Path, target: SimulatedTarget, tell: Callable[[int, int], None]) -> None:
    blocks_file, traffic_file = (files.with_suffix(f".{kind}") for kind in ("blocks", "traffic"))
    runs = 1 if split.network.macs > LARGE_MACS else RUNS
    try:
        answer = target.count({**_job(split.network, images_file), "runs": runs}, split.runtime, blocks_file, traffic_file, tell)
        windows, traffic = read_windows(blocks_file), read_traffic(traffic_file)
    except (RuntimeProblem, ValueError) as error:  # ValueError: a disk that was full
        split.reason = str(error)
        return

    def counted(numbers: Mapping[str, int]) -> Counted:
        ran = {scope: windows[number] for scope, number in numbers.items()}
        moved = {scope: traffic[number] for scope, number in numbers.items()}
        return Counted(split.network.artifact, split.runtime, runs=runs, windows=ran, traffic=moved)

    whole, prefixes = answer.pop("whole"), answer.pop("prefixes")
    split.whole = counted(whole)
    split.prefixes = [counted({EMPTY: whole[EMPTY], "invoke": number}) for number in prefixes]
    split.facts = _facts(answer)


def _time(split: Split, images_file: Path, target: Target, threads: int, seconds: float, tell: Callable[[int, int], None]) -> None:
    try:
        answer = target.run({**_job(split.network, images_file), "threads": threads, "seconds": seconds}, split.runtime, tell)
    except RuntimeProblem as error:
        split.reason = str(error)
        return
    split.times = {name: np.array(answer.pop(name)) for name in ("predict", "invoke", "prefixes")}
    split.facts = _facts(answer)


def _facts(answer: Mapping[str, Any]) -> dict[str, Any]:
    return {name: answer[name] for name in ("runtime_version", "kernels", "threads", "delegate")}
