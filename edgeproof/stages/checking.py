"""`edgeproof check FILE`: a model file judged by what is in it, whoever made it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from edge_runtime.errors import EdgeproofError, InputError, RuntimeMissingError, RuntimeProblem, UnsupportedModelError
from export.audit import Audit, audit
from export.claims import verdict
from export.requirements import unmet
from export.support import Support, support, systems

RAN, FAILED = "opened and ran", "tried here, failed"


@dataclass(frozen=True)
class FileCheck:
    """What was found out about one file."""

    path: Path
    bytes: int
    audit: Audit
    support: Mapping[str, Support]
    unmet: Mapping[str, str]  # requirements that do not hold, with the reason
    tried: Mapping[str, str] = field(default_factory=dict)  # by runtime, with --try: RAN, or what happened instead

    @property
    def verdict(self) -> str:
        return verdict(self.path.name, self.audit, self.support)

    def to_dict(self) -> dict[str, Any]:
        return {
            "file": str(self.path),
            "bytes": self.bytes,
            "verdict": self.verdict,
            "audit": self.audit.to_dict(),
            "support": {runtime: asdict(answer) for runtime, answer in self.support.items()},
            "systems": {name: list(runtimes) for name, runtimes in systems(self.support).items()},
            "tried": dict(self.tried),
            "unmet": dict(self.unmet),
        }


def check_file(path: Path, requirements: Sequence[str] = (), *, try_it: bool = False) -> FileCheck:
    """Audit a file; `try_it` also runs it once in every installed runtime. InputError when it is no model, or a damaged one."""
    from edge_runtime.interpreter import model_suffix, read_model_file

    content = read_model_file(path)
    model_suffix(content, str(path))
    try:
        found = audit(content)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    answers = support(found)
    tried = {runtime: _try(path, found, runtime) for runtime in answers} if try_it else {}
    for runtime, outcome in tried.items():
        if outcome.startswith(FAILED) and answers[runtime].loads:
            answers[runtime] = Support(False, outcome)
    return FileCheck(path, len(content), found, answers, unmet(requirements, found, answers), tried)


def _try(path: Path, found: Audit, runtime: str) -> str:
    """Open the file and run it on one grey picture, in a process of its own: whatever happens there stays there."""
    import numpy as np

    from edge_runtime.worker import run_in_subprocess

    with tempfile.TemporaryDirectory(prefix="edgeproof-") as folder:
        image, outputs = Path(folder) / "image.npy", Path(folder) / "outputs.npy"
        np.save(image, np.full((1, *_picture(found)), 127, np.uint8))
        job = {"job": "predict", "model": str(path.resolve()), "images": str(image), "outputs": str(outputs)}
        try:
            run_in_subprocess(job, runtime)
        except RuntimeMissingError as error:
            return f"not tried: {error}"
        except RuntimeProblem as error:
            # What opens, but is no classifier of pictures to our worker, is nothing that the runtime fails at.
            opened = isinstance(error, UnsupportedModelError) and "cannot run this model" not in str(error)
            return f"opened, not run: {error}" if opened else f"{FAILED}: {error}"
        except EdgeproofError as error:
            return f"opened, not run: {error}"
    return RAN


def _picture(found: Audit) -> tuple[int, int, int]:
    """(H, W, C) of the pictures that the file takes, whatever its layout; of what takes none, the worker says so once it has opened it."""
    from edge_runtime.preprocess import Preprocessing

    try:
        return Preprocessing.of_input(found.inputs[0].shape).shape
    except InputError:
        return 1, 1, 1
