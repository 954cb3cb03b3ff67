"""Runs every artifact on every runtime and kernels of a target over the validation images, and keeps the raw outputs."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.outputs import Outputs
from benchmarks.targets.base import Target
from edge_runtime.errors import RuntimeMissingError, RuntimeProblem
from edge_runtime.interpreter import PEER_RUNTIMES, RUNTIMES, find_runtime
from edge_runtime.progress import Progress, silent
from edge_runtime.tensors import Quantization

REFERENCE_IMAGES = 1000  # slow, simple kernels are an arbiter of the others, not what ships


@dataclass(frozen=True)
class Artifact:
    """One exported file and what its manifest claims of it."""

    path: Path
    format: str
    source: str  # the model it was made from: "folded" or "qat", or "baseline" where nobody told
    sha256: str
    runtimes: tuple[str, ...]  # claimed to load it
    bytes: int
    assume: Mapping[str, Any] | None = None  # metadata for a file that carries none
    diagnostic: bool = False  # of a format that tells about the others rather than ships: runtimes have only slow kernels for it
    peer: str | None = None  # whose it is, of those that edgeproof is compared with; None for its own


@dataclass(frozen=True)
class Cell:
    """One line of the matrix, before it has run."""

    artifact: Artifact
    runtime: str
    kernels: str
    images: int | None  # on how many it runs; None for all


def able_runtimes(artifact: Artifact, chosen: Iterable[str] = ()) -> list[str]:
    """The runtimes that read this kind of file, in the registry's order; only those chosen, if any are."""
    wanted = list(chosen)
    known = {**RUNTIMES, **PEER_RUNTIMES}
    return [name for name, runtime in known.items() if runtime.suffix == artifact.path.suffix and (not wanted or name in wanted)]


def cells(artifacts: Iterable[Artifact], *, runtimes: Iterable[str] = (), kernels: Iterable[str] = ()) -> list[Cell]:
    """Artifact × runtime × kernels; only the runtimes and kernels named, if any are.

    What only diagnoses runs on the first images: the reference kernels, and a diagnostic format beside others. Alone, it runs on all.
    """
    wanted, named, together = list(kernels), list(runtimes), list(artifacts)
    beside = any(not artifact.diagnostic for artifact in together)

    def images(artifact: Artifact, kind: str) -> int | None:
        return REFERENCE_IMAGES if kind == "reference" or (artifact.diagnostic and beside) else None

    return [
        Cell(artifact, runtime, kind, images(artifact, kind))
        for artifact in together
        for runtime in able_runtimes(artifact, named)
        for kind in find_runtime(runtime).kernels
        if not wanted or kind in wanted
    ]


def collect(matrix: Iterable[Cell], images: np.ndarray, target: Target, *, progress: Progress = silent) -> list[Outputs]:
    """Outputs of every cell on uint8 images [n, H, W, C], in order. One that cannot run is an entry with its reason, not an error.

    As many cells run at once as there are processors: answers do not depend on how long they take.
    """
    lines = list(matrix)
    shares = [0.0] * len(lines)
    with tempfile.TemporaryDirectory(prefix="edgeproof-") as folder:
        images_file = Path(folder) / "images.npy"
        np.save(images_file, images)

        def run(index: int) -> Outputs:
            cell = lines[index]

            def tell(done: int, total: int) -> None:
                shares[index] = done / total
                progress(int(1000 * sum(shares)), 1000 * len(lines), f"{cell.artifact.format} on {cell.runtime}")

            job: dict[str, Any] = {
                "job": "predict",
                "model": str(cell.artifact.path),
                "images": str(images_file),
                "outputs": str(Path(folder) / f"outputs-{index}.npy"),
                "kernels": cell.kernels,
                "limit": cell.images,
                "assume": cell.artifact.assume,
            }
            return _run_one(cell, job, target, tell)

        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            return list(pool.map(run, range(len(lines))))


def _run_one(cell: Cell, job: dict[str, Any], target: Target, tell: Callable[[int, int], None]) -> Outputs:
    identity: dict[str, Any] = {
        "artifact": cell.artifact.path.name,
        "format": cell.artifact.format,
        "source": cell.artifact.source,
        "sha256": cell.artifact.sha256,
        "runtime": cell.runtime,
        "kernels": cell.kernels,
        "target": target.name,
        "limit": cell.images,
    }
    claimed = cell.runtime in cell.artifact.runtimes
    try:
        answer = target.run(job, cell.runtime, tell)
    except RuntimeMissingError as error:  # this machine lacks it: says nothing about the artifact
        return Outputs(**identity, runtime_version="", claimed=False, reason=str(error))
    except RuntimeProblem as error:
        return Outputs(**identity, runtime_version="", claimed=claimed, reason=str(error))
    quantization = Quantization(**answer["quantization"]) if answer["quantization"] else None
    return Outputs(
        **identity,
        runtime_version=answer["runtime_version"],
        claimed=claimed,
        raw=np.load(job["outputs"]),
        quantization=quantization,
        output=answer["output"],
    )
