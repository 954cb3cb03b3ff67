"""A simulated board: the real aarch64 Python and wheels under `qemu-aarch64`, as that board's processor core.

It may claim the answers (they come from the binaries a board runs) and counts of instructions; its times mean nothing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.boards import BOARDS, Board
from benchmarks.caches import CACHES
from benchmarks.targets.base import Supply
from benchmarks.targets.kept import kept, used
from benchmarks.targets.programs import require, run
from benchmarks.targets.sysroot import build_sysroot
from edge_runtime.errors import InputError
from edge_runtime.jobs import Job, Message
from edge_runtime.progress import Progress, silent
from edge_runtime.worker import Worker

PREFIX = "sim-"
SIMULATED = {f"{PREFIX}{name}": board for name, board in BOARDS.items()}
PLUGINS = _BLOCKS, _CACHES = [Path(__file__).with_name(name) for name in ("blocks.c", "caches.c")]
_PACKAGES = "site-packages/"  # in a bundle
_BYTECODE = ".bytecode"


class SimulatedTarget:
    """Runs jobs on one simulated board. What it needs (system, packages, plugin) is made when it is first needed, and kept in `cache`."""

    def __init__(self, board: Board, supply: Supply, cache: Path) -> None:
        self.board = board
        self.name = f"{PREFIX}{board.name}"
        self._supply, self._cache = supply, cache
        self._packages: dict[str, Path] = {}
        self._root: Path | None = None
        self._making = threading.Lock()  # jobs run side by side; what they share is made once

    def run(self, job: Job, runtime: str, progress: Callable[[int, int], None] | None = None) -> Message:
        with self.start(job, runtime) as worker:
            return worker.result(progress)

    def start(self, job: Job, runtime: str) -> Worker:
        return Worker({**job, "runtime": runtime}, self._command(runtime))

    def count(self, job: Job, runtime: str, blocks: Path, traffic: Path, progress: Callable[[int, int], None] | None = None) -> Message:
        """Run a `count` job and write what its windows did: blocks to `blocks`, see blocks.c, and misses of caches to `traffic`, see caches.c."""
        options = self.counting(blocks, traffic)
        with Worker({**job, "runtime": runtime}, self._command(runtime, options)) as worker:
            return worker.result(progress)

    def require(self, *, counting: bool = False) -> None:
        """RuntimeMissingError when the host lacks the emulator or, for counting, the compiler."""
        require(("qemu-aarch64", "gcc") if counting else ("qemu-aarch64",), self.name)

    def system(self, progress: Progress = silent) -> Path:
        """The board's root folder, made if it is not there."""
        if self._root is None:
            self._root = build_sysroot(self.board, self._cache, progress)
        return self._root

    def packages(self, runtime: str) -> Path:
        """The folder with edge_runtime, numpy and the runtime's wheels: the bundle's own."""
        if runtime not in self._packages:
            bundle = self._supply(self.board.machine, runtime)
            with bundle.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            self._packages[runtime] = used(kept(self._cache / "packages", sha256, lambda folder: _unpack(bundle, folder)))
        return self._packages[runtime]

    def counting(self, blocks: Path, traffic: Path) -> tuple[str, ...]:
        """The emulator's options to count blocks and misses of caches into these files."""
        misses = f"{_quoted(self.plugin(_CACHES))},out={_quoted(traffic)},{CACHES[self.board.name].options()}"
        return "-plugin", f"{_quoted(self.plugin(_BLOCKS))},out={_quoted(blocks)}", "-plugin", misses

    def plugin(self, source: Path) -> Path:
        """A compiled plugin."""
        compiler = run(("gcc", "--version"), "gcc").splitlines()[0]
        name = f"{source.stem}.so"

        def compile_it(folder: Path) -> None:
            run(("gcc", "-O2", "-shared", "-fPIC", "-o", str(folder / name), str(source)), f"Compiling {source.name}")

        return kept(self._cache / "plugins", [compiler, source.name, source.read_text()], compile_it) / name

    def emulator(self) -> str:
        """Name and version of the emulator."""
        return run(("qemu-aarch64", "--version"), "qemu-aarch64").splitlines()[0]

    def _command(self, runtime: str, options: tuple[str, ...] = ()) -> tuple[str, ...]:
        self.require()
        with self._making:
            self.system()
            packages = self.packages(runtime)
        return self.python(packages, ("-P", "-m", "edge_runtime", "job"), options)

    def python(self, packages: Path, arguments: tuple[str, ...], options: tuple[str, ...] = ()) -> tuple[str, ...]:
        """The command that runs the board's Python with these packages. `options`: the emulator's."""
        root = self.system()
        # Nothing of the caller's environment: it would reach into the board, and move its stack.
        variables = {
            "PYTHONPATH": packages,
            "PYTHONPYCACHEPREFIX": packages / _BYTECODE,  # the emulator would write it into the host's /usr/lib
            "PYTHONNOUSERSITE": 1,
            "PYTHONHASHSEED": 0,  # the same run every time
            "OPENBLAS_NUM_THREADS": 1,
            "OMP_NUM_THREADS": 1,
        }
        given = [f"{name}={value}" for name, value in variables.items()]
        emulator = (_found("qemu-aarch64"), "-cpu", self.board.core, "-seed", "0", *options, "-L", str(root))
        python = f"{root}/usr/bin/python{self.board.machine.python[0]}.{self.board.machine.python[1]}"
        return (_found("env"), "-i", *given, *emulator, python, *arguments)


def _found(program: str) -> str:
    return shutil.which(program) or program


def _quoted(path: Path) -> str:
    return str(path.resolve()).replace(",", ",,")  # as QEMU's options have it


def _unpack(bundle: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(bundle) as archive:
            names = [name for name in archive.namelist() if name.startswith(_PACKAGES)]
            archive.extractall(folder, names)
    except zipfile.BadZipFile as error:
        raise InputError(f"{bundle} is no bundle ({error}).") from None
    for name in os.listdir(folder / _PACKAGES):
        os.replace(folder / _PACKAGES / name, folder / name)
    (folder / _PACKAGES).rmdir()
