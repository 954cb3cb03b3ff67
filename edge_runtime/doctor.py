"""What works on this machine: numpy, Pillow and each interpreter, every one tried in a process of its own, because a broken one takes its
process with it.

Nothing here needs numpy to work: a board where it does not is one of the patients.
"""

from __future__ import annotations

import platform
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.errors import EdgeproofError
from edge_runtime.foreign import foreign_library
from edge_runtime.machine import this_machine
from edge_runtime.processes import local_environment, of_signal
from edge_runtime.processor import Processor, narrow_userland, this_processor

_PATIENCE_SECONDS = 120.0  # a Pi Zero 2 imports for seconds, an emulated one for longer


@dataclass(frozen=True)
class Tried:
    """One library or interpreter: whether it works here, and its version or the cause and the remedy, in one line."""

    name: str
    works: bool
    detail: str
    asked: bool = True  # False of an interpreter for another kind of file than the model at hand


@dataclass(frozen=True)
class Examination:
    """What was found. A machine is fit when an interpreter works on it, and runs the model where one was given."""

    python: str
    machine: str
    libc: str
    pointer_bits: int
    processor: Processor
    warning: str | None
    libraries: tuple[Tried, ...]
    runtimes: tuple[Tried, ...]

    @property
    def fit(self) -> bool:
        return any(runtime.works and runtime.asked for runtime in self.runtimes)


def examine(model: Path | None = None, sha256: str | None = None, *, bundled: bool = False) -> Examination:
    """Look at this machine; with a model, every interpreter that opens its kind of file runs it once. InputError when it is no model.

    bundled: in a bundle, into which nothing can be installed: interpreters that it does not hold are not looked at.
    """
    machine = this_machine()
    numpy = _library("numpy", "numpy", "every interpreter needs it: pip install numpy")
    pillow = _library("Pillow", "PIL", "only pictures need it: pip install 'edgeproof[image]', or give uint8 pixels as .npy")
    return Examination(
        platform.python_version(),
        machine.architecture,
        machine.libc,
        8 * struct.calcsize("P"),
        this_processor(),
        narrow_userland(machine.architecture, platform.machine()),
        (numpy, pillow),
        _runtimes(model, sha256, bundled) if numpy.works else (),
    )


def _library(name: str, module: str, needed: str) -> Tried:
    command = [sys.executable, "-P", "-c", f"import {module}; print({module}.__version__)"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=local_environment(), timeout=_PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        return Tried(name, False, f"did not import within {_PATIENCE_SECONDS:g} s ({needed})")
    if done.returncode == 0:
        return Tried(name, True, done.stdout.strip())
    if done.returncode < 0:
        return Tried(name, False, f"ended by {of_signal(-done.returncode)} ({needed})")
    foreign = foreign_library(module)
    if foreign:
        return Tried(name, False, f"{foreign} ({needed})")
    return Tried(name, False, f"{done.stderr.strip().splitlines()[-1].rstrip('.')} ({needed})")


def _runtimes(model: Path | None, sha256: str | None, bundled: bool) -> tuple[Tried, ...]:
    from edge_runtime.interpreter import RUNTIMES, check_sha256, model_suffix, read_model_file

    suffix = None
    if model:
        content = read_model_file(model)
        if sha256:
            check_sha256(content, sha256, str(model))
        suffix = model_suffix(content, str(model))
    held = [name for name, runtime in RUNTIMES.items() if runtime.installed or not bundled]
    opens = {name: suffix in (None, RUNTIMES[name].suffix) for name in held or RUNTIMES}
    return tuple(_runtime(name, model if asked else None, asked) for name, asked in opens.items())


def _runtime(name: str, model: Path | None, asked: bool) -> Tried:
    from edge_runtime.worker import Worker

    job = {"job": "doctor", "runtime": name, **({"model": str(model)} if model else {})}
    try:
        with Worker(job, patience=_PATIENCE_SECONDS) as worker:
            answer = worker.result()
    except EdgeproofError as error:
        return Tried(name, False, str(error), asked)
    ran = f", runs {model.name} ({answer['delegate']})" if model else ""
    return Tried(name, True, f"{answer['runtime_version']}{ran}", asked)


def as_lines(found: Examination) -> list[str]:
    """The examination for a reader."""
    features = f" ({' '.join(found.processor.features)})" if found.processor.features else ""
    board = f"{found.processor.board}: " if found.processor.board else ""
    lines = [f"Python {found.python}, {found.pointer_bits}-bit, {found.libc}", f"{found.machine}, {board}{found.processor.name}{features}"]
    lines += [f"warning: {found.warning}"] if found.warning else []
    lines += [f"{'ok ' if tried.works else 'NO '} {tried.name}: {tried.detail}" for tried in (*found.libraries, *found.runtimes)]
    return lines
