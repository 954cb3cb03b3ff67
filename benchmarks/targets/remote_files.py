"""The files of a job, carried to a board and back. Each content travels once: it lies there under its sha256."""

from __future__ import annotations

import hashlib
import shlex
import threading
from pathlib import Path, PurePosixPath
from typing import Any

from benchmarks.targets.board_folder import BoardFolder
from benchmarks.targets.openssh import SLOWEST_BYTES_PER_SECOND, STEP_SECONDS, OpenSsh
from edge_runtime.errors import TargetError
from edge_runtime.jobs import INPUT_FILES, OUTPUT_FILES, Job


class RemoteFiles:
    """What lies in a private folder. Several threads may ask at once."""

    def __init__(self, ssh: OpenSsh, folder: BoardFolder) -> None:
        self._ssh = ssh
        self._folder = folder
        self._there: dict[tuple[str, str], PurePosixPath] = {}
        self._copying = threading.Lock()
        self._jobs = 0

    def put(self, path: Path, room: int = 0) -> PurePosixPath:
        """Copy a file there, under its own name, if it is not there yet. TargetError when there is not room for it and `room` bytes more."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        with self._copying:
            if (digest, path.name) not in self._there:
                place = self._folder.path / digest[:16] / path.name
                self._check_room(path, room)
                self._copy(path, place)
                self._there[digest, path.name] = place
            return self._there[digest, path.name]

    def _check_room(self, path: Path, room: int) -> None:
        needed, free = path.stat().st_size + room, self._folder.free_bytes()
        if needed > free:
            there = f"{self._folder.path.parent} on {self._ssh.address}"
            raise TargetError(f"{there} has {free / 1e6:.0f} MB left and {path.name} takes {needed / 1e6:.0f}: free some space there.")

    def _copy(self, path: Path, place: PurePosixPath) -> None:
        folder, file, part = (shlex.quote(str(name)) for name in (place.parent, place, f"{place}.part"))
        script = f"mkdir -p {folder} && cat > {part} && mv {part} {file}"
        seconds = STEP_SECONDS + path.stat().st_size / SLOWEST_BYTES_PER_SECOND
        self._ssh.run(f"sh -c {shlex.quote(script)}", stdin=path, seconds=seconds)

    def take(self, job: Job) -> tuple[dict[str, Any], dict[Path, PurePosixPath]]:
        """(the job with the board's paths, which file here each of its outputs there is to become)."""
        moved = {**job, **{name: self._put_all(job[name]) for name in INPUT_FILES if job.get(name)}}
        outputs = {}
        for name in OUTPUT_FILES:
            if job.get(name):
                with self._copying:
                    self._jobs += 1
                    place = self._folder.path / f"{name}-{self._jobs}{Path(job[name]).suffix}"
                outputs[Path(job[name])] = place
                moved[name] = str(place)
        return moved, outputs

    def _put_all(self, names: str | list[str]) -> str | list[str]:
        return str(self.put(Path(names))) if isinstance(names, str) else [str(self.put(Path(name))) for name in names]

    def fetch(self, outputs: dict[Path, PurePosixPath]) -> None:
        """Bring outputs back."""
        for here, there in outputs.items():
            part = here.with_name(f"{here.name}.part")
            self._ssh.run(f"cat {shlex.quote(str(there))}", out=part, seconds=10 * STEP_SECONDS)
            part.replace(here)
