"""The folder in which one model's way to the edge is kept. Files appear whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_runtime.errors import InputError, MissingInputError

if TYPE_CHECKING:
    import numpy as np

    from benchmarks.matrix import Artifact

DEFAULT = "runs/default"

# What each stage makes. Its record is written last: without it, the stage has not been run.
_DATA = ("dataset.json", "validation.npz", "baseline.keras", "training.json", "history.csv", "figures")
_FOLD = ("folded.keras", "folded.json", "layers.npz")
_QAT = ("qat.h5", "qat.json")
_NEVER_ADOPTED = ("baseline.keras", "folded.keras", "folded.json", *_QAT)  # of exports that edgeproof did not make
_EXPORT = ("artifacts",)
_VERDICT = ("outputs", "parity.json", "parity.md", "parity.junit.xml")
_PEERS = ("peers",)
_RECORD = {
    "train": "training.json",
    "fold": "folded.json",
    "qat": "qat.json",
    "export": "artifacts/manifest.json",
    "parity": "parity.json",
    "peers": "peers/peers.json",
}

# What a stage replaces: its own former files and what later stages made from them. Measured latencies stay: they name their artifact's hash.
_REPLACES = {
    "train": _DATA + _FOLD + _QAT + _EXPORT + _VERDICT + _PEERS,
    "fold": _FOLD + _QAT + _EXPORT + _VERDICT,
    "qat": _QAT + _EXPORT + _VERDICT,
    "export": _VERDICT,  # artifacts of other formats stay
    "parity": _VERDICT,
    "peers": _PEERS,
}

# What a file must hold for anything to be done with it.
_FIELDS = {
    "validation.npz": ("images", "labels", "baseline_probabilities"),
    "folded.json": ("folded_sha256", "not_quantizable"),
    "artifacts/manifest.json": ("artifacts",),
    "parity.json": ("verdict", "margin_pp", "baseline", "rows", "hops", "flips"),
    "peers/peers.json": ("made", "rows"),
}

_MADE_BY = {
    **dict.fromkeys(_DATA, "edgeproof train"),
    **dict.fromkeys(_FOLD + _QAT, "edgeproof qat"),
    "artifacts/manifest.json": "edgeproof export all",
    **dict.fromkeys(_VERDICT, "edgeproof parity"),
    **dict.fromkeys(_PEERS, "edgeproof bench --peers"),
}


class Workspace:
    """Paths and whole-file reading and writing below one folder."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        for part in (self.path, *self.path.parents):
            if _is_file(part):
                raise InputError(f"Workspace {self.path} cannot be a folder: {part} is a file. Choose another with -w.")

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def has(self, name: str) -> bool:
        return (self / name).exists()

    def require(self, name: str) -> Path:
        """The path of a file that must exist; MissingInputError names the command that makes it."""
        if not self.has(name):
            if self.adopted and name in _NEVER_ADOPTED:
                raise InputError(
                    f"{self.path} holds exports that were judged by a stranger's baseline, and no {name}: "
                    "`edgeproof run --model … --data … -w OTHER` makes everything from a Keras model."
                )
            raise MissingInputError(f"{self / name} does not exist yet: run `{self.command_for(name)}` first.")
        return self / name

    def command_for(self, name: str) -> str:
        """The command that makes a file of this workspace."""
        if self.adopted and name.split("/")[0] not in _VERDICT:
            return f"edgeproof parity --baseline … --export … --data …{self.option}"
        return f"{_MADE_BY.get(name) or _MADE_BY[name.split('/')[0]]}{self.option}"

    @property
    def adopted(self) -> bool:
        """Whether it holds exports that edgeproof did not make."""
        try:
            return bool(json.loads((self / "training.json").read_text()).get("adopted"))
        except (OSError, ValueError, AttributeError):  # none, or damaged: who reads it says so
            return False

    @property
    def replaceable(self) -> list[Path]:
        """The places of all that a new baseline replaces: its own files and what later stages make from them."""
        return [self / name for name in _REPLACES["train"]]

    @property
    def option(self) -> str:
        """How a command names this workspace: not at all, if it is the default one."""
        return "" if str(self.path) == DEFAULT else f" -w {shlex.quote(str(self.path))}"

    def read_json(self, name: str) -> dict[str, Any]:
        path = self.require(name)
        try:
            fields = json.loads(path.read_text())
            if not isinstance(fields, dict):
                raise ValueError("not a JSON object")
            _check_fields(name, fields)
            return fields
        except (OSError, ValueError) as error:
            raise InputError(f"Cannot read {path} ({error}): run `{self.command_for(name)}` again.") from None

    def read_arrays(self, name: str) -> dict[str, np.ndarray]:
        from edge_runtime.arrays import read_npz

        arrays = read_npz(self.require(name), f"run `{self.command_for(name)}` again")
        try:
            _check_fields(name, arrays)
        except ValueError as error:
            raise InputError(f"Cannot read {self / name} ({error}): run `{self.command_for(name)}` again.") from None
        return arrays

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

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[Workspace]:
        """A folder for a stage ("train", "fold", "qat", "export", "parity", "peers") to write its files into.

        On leaving, they take their places together, the stage's record last. After an error, or Ctrl-C, or a full disk, nothing has changed.
        """
        existed = self.path.exists()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            folder = tempfile.mkdtemp(prefix=f".{name}-", dir=self.path)
        except OSError as error:
            raise InputError(f"Cannot write to {self.path}: {error.strerror}.") from None
        try:
            yield (staged := Workspace(folder))
            self._take(name, staged)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            if not existed and not any(self.path.iterdir()):
                self.path.rmdir()

    def _take(self, stage: str, staged: Workspace) -> None:
        record = _RECORD[stage]
        (self / record).unlink(missing_ok=True)
        for name in _REPLACES[stage]:
            path = self / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        files = [str(file.relative_to(staged.path)) for file in staged.path.rglob("*") if file.is_file()]
        for name in sorted(files, key=lambda name: name == record):
            (self / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(staged / name, self / name)

    def artifacts(self) -> list[Artifact]:
        """The exported files that the manifest lists; InputError when there are none, or one is not the file it was."""
        listed = self.read_json("artifacts/manifest.json")["artifacts"]
        if not listed:
            command = self.command_for("artifacts/manifest.json")
            raise InputError(f"{self / 'artifacts/manifest.json'} lists no artifacts: run `{command}` again.")
        return [self.artifact(name, facts) for name, facts in listed.items()]

    def artifact(self, name: str, facts: Mapping[str, Any]) -> Artifact:
        """One of them, with what the manifest says of it. InputError when it is missing, or is another file."""
        from benchmarks.matrix import Artifact

        path, command = self / f"artifacts/{name}", self.command_for("artifacts/manifest.json")
        if not path.is_file():
            raise InputError(f"{path} is missing: run `{command}` again.")
        if file_sha256(path) != facts.get("sha256"):
            raise InputError(f"{path} is not the file that was exported (its sha256 differs from the manifest): run `{command}` again.")
        claims = (facts["format"], facts["source"], facts["sha256"], tuple(facts["runtimes"]), facts["bytes"], facts.get("assume"))
        return Artifact(path.resolve(), *claims)


def _check_fields(name: str, fields: Mapping[str, Any]) -> None:
    missing = [field for field in _FIELDS.get(name, ()) if field not in fields]
    if missing:
        raise ValueError(f"it lacks {', '.join(missing)}")


def _is_file(path: Path) -> bool:
    try:
        return path.exists() and not path.is_dir()
    except OSError as error:  # a name too long, a folder that may not be read
        raise InputError(f"Workspace {path} cannot be used: {error.strerror}. Choose another with -w.") from None


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
