"""Why an interpreter does not work on a machine, and what to do about it: one line each."""

from __future__ import annotations

import importlib.util
import platform
import struct
import sys
from pathlib import Path

import numpy as np

from edge_runtime.errors import RuntimeMissingError, first_line
from edge_runtime.machine import this_machine
from edge_runtime.processor import narrow_userland
from edge_runtime.runtimes import Runtime, numpy_too_new

# e_machine of an ELF file: its processor as wheel tags spell it. System V ABI, https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html
_ELF_MACHINES = {3: "i686", 40: "armv7l", 62: "x86_64", 183: "aarch64"}


def of_import(runtime: Runtime, error: ImportError | AttributeError) -> RuntimeMissingError:
    """What to say of an interpreter that does not import."""
    if not runtime.installed:
        return RuntimeMissingError(f"{runtime.name} is not installed{_remedy(runtime)}.")
    if numpy_too_new(runtime):
        wanted = f"numpy<{runtime.numpy_below}"
        return RuntimeMissingError(f"{runtime.name} needs {wanted}, this is numpy {np.__version__}: pip install '{wanted}', or use ai-edge-litert.")
    said = f"{runtime.name} is installed but does not import"
    built_for = foreign_library(runtime.package)
    if built_for:
        return RuntimeMissingError(f"{said}: it is built for {built_for}, this Python for {_here()}. Install it again with this Python's own pip.")
    if "GLIBC" in str(error):
        return RuntimeMissingError(f"{said} ({first_line(error)}): it needs a newer system ({this_machine().libc} here); use an older version of it.")
    if "cannot open shared object file" in str(error):
        return RuntimeMissingError(f"{said} ({first_line(error)}): a library of the system's is missing; install the package that has it.")
    return RuntimeMissingError(f"{said} ({first_line(error)}): install it again.")


def _remedy(runtime: Runtime) -> str:
    python = sys.version_info[:2]
    architecture = this_machine().architecture
    if runtime.newest_python and tuple(python) > runtime.newest_python:
        return f", and has no wheels for Python {python[0]}.{python[1]}: use ai-edge-litert"
    if architecture not in runtime.architectures:
        other = "use tflite-runtime on Python 3.11" if architecture == "armv7l" else "use another board or a 64-bit system"
        return f", and has no wheels for {_here()}: {other}"
    return f": pip install 'edgeproof[{runtime.extra}]'"


def foreign_library(package: str) -> str | None:
    """ "aarch64" when a compiled file of the package is for that and this Python is not; None when all are for this machine."""
    spec = importlib.util.find_spec(package)
    here = _elf_machine(Path("/proc/self/exe"))
    for folder in spec.submodule_search_locations or () if spec else ():
        for library in sorted(Path(folder).rglob("*.so")):
            machine = _elf_machine(library)
            if machine and here and machine != here:
                return machine
    return None


def _elf_machine(path: Path) -> str | None:
    """The processor that an ELF file is for; None when it is no such file."""
    try:
        with path.open("rb") as file:
            header = file.read(20)
    except OSError:
        return None
    if len(header) < 20 or header[:4] != b"\x7fELF":
        return None
    (number,) = struct.unpack(("<" if header[5] == 1 else ">") + "H", header[18:20])
    return _ELF_MACHINES.get(number, f"ELF machine {number}")


def _here() -> str:
    """This machine as it matters to wheels, with the trap named where there is one."""
    architecture = this_machine().architecture
    narrow = narrow_userland(architecture, platform.machine())
    return f"{architecture} ({narrow})" if narrow else architecture
