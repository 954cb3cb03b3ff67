"""The folder in which one model's way to the edge is kept. Files appear whole or not at all."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_runtime.errors import InputError, MissingInputError

if TYPE_CHECKING:
    import numpy as np

    from benchmarks.matrix import Artifact

DEFAULT = "runs/default"

# What each stage makes. A stage that ends removes what later stages made from its former output.
# Measured latencies stay: they name their artifact's hash.
_DATA = ("dataset.json", "validation.npz", "baseline.keras", "training.json", "history.csv", "figures")
_QAT = ("folded.keras", "qat.h5", "qat.json", "layers.npz")
_EXPORT = ("artifacts",)
_VERDICT = ("outputs", "parity.json", "parity.md", "parity.junit.xml")
_LATER = {"train": _QAT + _EXPORT + _VERDICT, "qat": _EXPORT + _VERDICT, "export": _VERDICT}

_MADE_BY = {
    **dict.fromkeys(_DATA, "edgeproof train"),
    **dict.fromkeys(_QAT, "edgeproof qat"),
    "artifacts/manifest.json": "edgeproof export all",
    **dict.fromkeys(_VERDICT, "edgeproof parity"),
}


def made_by(name: str) -> str:
    """The command that makes a file of the workspace."""
    return _MADE_BY.get(name) or _MADE_BY[name.split("/")[0]]


class Workspace:
    """Paths and whole-file reading and writing below one folder."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        for part in (self.path, *self.path.parents):
            if part.exists() and not part.is_dir():
                raise InputError(f"Workspace {self.path} cannot be a folder: {part} is a file. Choose another with -w.")

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def has(self, name: str) -> bool:
        return (self / name).exists()

    def require(self, name: str) -> Path:
        """The path of a file that must exist; MissingInputError names the command that makes it."""
        if not self.has(name):
            where = "" if str(self.path) == DEFAULT else f" -w {self.path}"
            raise MissingInputError(f"{self / name} does not exist yet: run `{made_by(name)}{where}` first.")
        return self / name

    def read_json(self, name: str) -> dict[str, Any]:
        path = self.require(name)
        try:
            fields = json.loads(path.read_text())
            if not isinstance(fields, dict):
                raise ValueError("not a JSON object")
            return fields
        except (OSError, ValueError) as error:
            raise InputError(f"Cannot read {path} ({error}): run `{made_by(name)}` again.") from None

    def read_arrays(self, name: str) -> dict[str, np.ndarray]:
        from edge_runtime.arrays import read_npz

        return read_npz(self.require(name), f"run `{made_by(name)}` again")

    def write_bytes(self, name: str, content: bytes) -> Path:
        """Write beside, flush to disk, rename: a reader sees the old file or the new one, never a part."""
        path = self / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                os.chmod(temporary, 0o644)
                os.replace(temporary, path)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise InputError(f"Cannot write {path}: {error.strerror}.") from None
        return path

    def write_text(self, name: str, text: str) -> Path:
        return self.write_bytes(name, text.encode())

    def write_json(self, name: str, fields: dict[str, Any]) -> Path:
        return self.write_text(name, json.dumps(fields, indent=1) + "\n")

    def write_arrays(self, name: str, arrays: dict[str, np.ndarray]) -> Path:
        import numpy as np

        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)
        return self.write_bytes(name, buffer.getvalue())

    def sha256(self, name: str) -> str:
        return file_sha256(self.require(name))

    def forget_after(self, stage: str) -> None:
        """Remove what later stages made from this stage's former output."""
        for name in _LATER[stage]:
            path = self / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def artifacts(self) -> list[Artifact]:
        """The exported files that the manifest lists; InputError when one is not the file it was."""
        from benchmarks.matrix import Artifact

        artifacts = []
        for name, facts in self.read_json("artifacts/manifest.json")["artifacts"].items():
            path = self / f"artifacts/{name}"
            if not path.exists() or file_sha256(path) != facts["sha256"]:
                raise InputError(f"{path} is not the file that was exported (its sha256 differs from the manifest): run `edgeproof export` again.")
            artifacts.append(Artifact(path.resolve(), facts["format"], facts["source"], facts["sha256"], tuple(facts["runtimes"]), facts["bytes"]))
        return artifacts


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
