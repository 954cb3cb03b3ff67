"""The system of a simulated board: Debian's arm64 packages of Python and what it needs, unpacked into a folder, and the board's own /proc and /sys.

The packages come from the machine's own apt sources, by a private apt state: no root is needed and nothing of the host's changes. No
maintainer script runs.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.boards import Board
from benchmarks.targets.kept import kept
from benchmarks.targets.programs import require, run
from edge_runtime.errors import InputError, RuntimeProblem
from edge_runtime.progress import Progress, silent

_APT = Path("/etc/apt")
_LAYOUT = 1  # raised when the same packages would be laid out otherwise


def build_sysroot(board: Board, cache: Path, progress: Progress = silent) -> Path:
    """The board's root folder, from the cache or made now. Raises RuntimeMissingError without apt, InputError when it has no such packages."""
    made_from = {"layout": _LAYOUT, "packages": _packages(board), "sources": _sources(), "files": board.files()}
    return kept(cache / "boards", made_from, lambda folder: _fill(folder, board, progress))


def _packages(board: Board) -> tuple[str, ...]:
    python = f"{board.machine.python[0]}.{board.machine.python[1]}"
    return f"python{python}-minimal", f"libpython{python}-stdlib", "libstdc++6"


def _sources() -> dict[str, str]:
    """The machine's package sources: another release of Debian gives another system."""
    files = [_APT / "sources.list", *(_APT / "sources.list.d").glob("*.list"), *(_APT / "sources.list.d").glob("*.sources")]
    return {file.name: file.read_text(errors="replace") for file in sorted(files) if os.access(file, os.R_OK)}


def _fill(folder: Path, board: Board, progress: Progress) -> None:
    require(("apt-get", "dpkg-deb"), f"Making the system of sim-{board.name}")
    with tempfile.TemporaryDirectory(prefix="edgeproof-") as state:
        archives = fetch(_packages(board), Path(state), progress)
        for index, archive in enumerate(archives):
            progress(40 + 60 * index // len(archives), 100, archive.name.split("_")[0])
            run(("dpkg-deb", "-x", str(archive), str(folder)), f"Unpacking {archive.name}")
    _keep_links_inside(folder)
    for name, text in board.files().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def fetch(packages: Sequence[str], state: Path, progress: Progress = silent) -> list[Path]:
    """Download arm64 packages and all that they depend on, with everything that apt keeps in `state`. InputError when they are not to be had."""
    for name in ("lists/partial", "cache/archives/partial", "log"):
        (state / name).mkdir(parents=True)
    (state / "status").touch()
    places = {"State": "", "State::Lists": "lists", "State::status": "status", "Cache": "cache", "Log": "log"}
    settings = [f"Dir::{name}={state / place}" for name, place in places.items()]
    settings += ["APT::Architecture=arm64", "APT::Architectures=arm64", "APT::Sandbox::User=root"]  # another could not write to `state`
    apt = ["apt-get", "--quiet", *(part for setting in settings for part in ("-o", setting))]
    progress(0, 100, "package lists")
    with contextlib.suppress(RuntimeProblem):  # a source without arm64 packages is in nobody's way: what counts is what can be had
        run([*apt, "update"], "apt-get update")
    progress(20, 100, "packages")
    try:
        run([*apt, "install", "--yes", "--download-only", "--no-install-recommends", *packages], "apt-get")
    except RuntimeProblem as error:
        wanted = f"{packages[0]} for arm64"
        raise InputError(f"This machine's package sources do not give {wanted} ({error}): use a Debian 12 machine or container.") from None
    return sorted((state / "cache/archives").glob("*.deb"))


def _keep_links_inside(folder: Path) -> None:
    """Absolute links would lead out into the host's system."""
    for path in folder.rglob("*"):
        if path.is_symlink() and (goal := os.readlink(path)).startswith("/"):
            path.unlink()
            path.symlink_to(os.path.relpath(folder / goal.lstrip("/"), path.parent))
