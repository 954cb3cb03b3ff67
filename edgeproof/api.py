"""The Python interface: the pipeline in an interpreter of its own, results as typed objects.

The caller's process may already hold Keras 3, which tensorflow-model-optimization cannot share a process with, or a module `train` of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_runtime.errors import EdgeproofError


@dataclass(frozen=True)
class RunResult:
    """What `edgeproof run` came to. `rows` has one entry an artifact and runtime, with the columns of the result table."""

    verdict: str  # PASS, FAIL or INCONCLUSIVE
    ship: str | None  # file name of the artifact to ship
    why: str
    rows: tuple[Mapping[str, Any], ...]
    failed: Mapping[str, str]  # formats that could not be exported, with the reason
    workspace: Path

    @property
    def ship_path(self) -> Path | None:
        return self.workspace / "artifacts" / self.ship if self.ship else None


def run(
    workspace: str | Path = "runs/default",
    *,
    recipe: str = "compact",
    model: str | Path | None = None,
    data: str | Path = "digits",
    preprocess: str | None = None,
    logits: bool = False,
    epochs: int | None = None,
    seed: int = 0,
    max_drop: float = 0.25,
    seconds: float = 2.0,
) -> RunResult:
    """Run the whole pipeline into `workspace`. Progress goes to stderr. Raises EdgeproofError with the one line a user would have read."""
    command = [sys.executable, "-P", "-m", "edgeproof", "run", "--json", "-w", str(workspace), "--data", str(data)]
    command += ["--seed", str(seed), "--max-drop", str(max_drop), "--seconds", str(seconds)]
    command += ["--model", str(model)] if model is not None else ["--recipe", recipe]
    command += ["--epochs", str(epochs)] if epochs is not None else []
    command += ["--preprocess", preprocess] if preprocess is not None else []
    command += ["--logits"] if logits else []
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    said = []
    for line in process.stderr or ():
        said.append(line)
        sys.stderr.write(line)
    stdout = process.stdout.read() if process.stdout else ""
    if process.wait() not in (0, 1, 3) or not stdout:
        raise EdgeproofError(said[-1].strip().removeprefix("error: ") if said else f"edgeproof run ended with exit code {process.returncode}")
    fields = json.loads(stdout)
    return RunResult(fields["verdict"], fields["ship"], fields["why"], tuple(fields["rows"]), fields["failed"], Path(fields["workspace"]))
