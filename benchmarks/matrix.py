"""Runs every artifact on every runtime of a target over the validation images, and keeps the raw outputs."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.parity import Outputs
from benchmarks.targets.base import Target
from edge_runtime.errors import RuntimeMissingError, RuntimeProblem
from edge_runtime.interpreter import RUNTIMES
from edge_runtime.progress import Progress, silent
from edge_runtime.tensors import Quantization


@dataclass(frozen=True)
class Artifact:
    """One exported file and what its manifest claims of it."""

    path: Path
    format: str
    source: str  # the stage it was made from: "folded" or "qat"
    sha256: str
    runtimes: tuple[str, ...]  # claimed to load it
    bytes: int


def able_runtimes(artifact: Artifact, chosen: Iterable[str] = ()) -> list[str]:
    """The runtimes that read this kind of file, in the registry's order; only those chosen, if any are."""
    wanted = list(chosen)
    return [name for name, runtime in RUNTIMES.items() if runtime.suffix == artifact.path.suffix and (not wanted or name in wanted)]


def collect(
    artifacts: Iterable[Artifact], images: np.ndarray, target: Target, *, runtimes: Iterable[str] = (), progress: Progress = silent
) -> list[Outputs]:
    """Outputs of every artifact × runtime on uint8 images [n, H, W, C]. One that cannot run is an entry with its reason, not an error."""
    pairs = [(artifact, runtime) for artifact in artifacts for runtime in able_runtimes(artifact, runtimes)]
    collected = []
    with tempfile.TemporaryDirectory(prefix="edgeproof-") as folder:
        images_file = Path(folder) / "images.npy"
        np.save(images_file, images)
        for index, (artifact, runtime) in enumerate(pairs):
            note = f"{artifact.format} on {runtime}"

            def tell(done: int, total: int, index: int = index, note: str = note) -> None:
                progress(index * total + done, len(pairs) * total, note)

            job = {"job": "predict", "model": str(artifact.path), "images": str(images_file), "outputs": str(Path(folder) / "outputs.npy")}
            collected.append(_run_one(artifact, runtime, job, target, tell))
    return collected


def _run_one(artifact: Artifact, runtime: str, job: dict[str, Any], target: Target, tell: Callable[[int, int], None]) -> Outputs:
    identity: dict[str, Any] = {
        "artifact": artifact.path.name,
        "format": artifact.format,
        "source": artifact.source,
        "sha256": artifact.sha256,
        "runtime": runtime,
        "kernels": "default",
        "target": target.name,
    }
    claimed = runtime in artifact.runtimes
    try:
        answer = target.run(job, runtime, tell)
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


def outputs_file(*, artifact: str, runtime: str, kernels: str, target: str, **_: object) -> str:
    """Where a workspace keeps one row's outputs: called with the fields of an Outputs or of a row of `parity.json`."""
    return f"outputs/{artifact}-{runtime}-{kernels}-{target}.npz"


def to_arrays(outputs: Outputs) -> dict[str, np.ndarray]:
    """What `outputs/*.npz` holds: the raw outputs and, as JSON text, everything else."""
    fields = {name: value for name, value in vars(outputs).items() if name not in ("raw", "quantization")}
    fields["quantization"] = asdict(outputs.quantization) if outputs.quantization else None
    arrays = {"facts": np.array(json.dumps(fields))}
    return arrays if outputs.raw is None else {**arrays, "raw": outputs.raw}


def from_arrays(arrays: Mapping[str, np.ndarray]) -> Outputs:
    """The inverse of `to_arrays`."""
    fields = json.loads(str(arrays["facts"]))
    quantization = Quantization(**fields.pop("quantization")) if fields["quantization"] else fields.pop("quantization")
    return Outputs(**fields, quantization=quantization, raw=arrays.get("raw"))
