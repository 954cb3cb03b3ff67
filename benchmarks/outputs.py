"""One artifact's answers on one runtime, kernels and target, and the file that keeps them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from edge_runtime.answers import to_probabilities
from edge_runtime.tensors import Quantization


@dataclass(frozen=True)
class Outputs:
    """One artifact's answers on one runtime and target: raw outputs [n, classes], or why there are none."""

    artifact: str
    format: str
    source: str  # the model it was made from: "folded" or "qat", or "baseline" where nobody told
    sha256: str
    runtime: str
    runtime_version: str
    kernels: str
    target: str
    claimed: bool  # the manifest says that this runtime loads it
    limit: int | None = None  # asked only about the first so many images
    raw: np.ndarray | None = None
    quantization: Quantization | None = None
    output: str = "logits"
    reason: str = ""

    @property
    def answered(self) -> np.ndarray:
        """The raw outputs; ValueError when there are none."""
        if self.raw is None:
            raise ValueError(f"{self.artifact} gave no outputs on {self.runtime}: {self.reason}")
        return self.raw

    @property
    def labels(self) -> np.ndarray:
        """int64 [n]: as the device decides, by the largest raw output, the lowest index on ties."""
        return self.answered.argmax(axis=1)

    @property
    def probabilities(self) -> np.ndarray:
        return to_probabilities(self.answered, self.quantization, self.output)


def outputs_file(*, artifact: str, runtime: str, kernels: str, target: str, **_: object) -> str:
    """Where a workspace keeps one row's outputs: called with the fields of an Outputs or of a row of `parity.json`."""
    return f"outputs/{artifact}-{runtime}-{kernels}-{file_part(target)}.npz"


def file_part(target: str) -> str:
    """A target's name as part of a file name: ssh://me@pi:2222 is ssh-me-pi-2222."""
    return "-".join(re.findall(r"[A-Za-z0-9_.]+", target))


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
