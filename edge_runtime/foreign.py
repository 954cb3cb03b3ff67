"""Compiled files that are for another machine than this one: copied from elsewhere, or chosen by a misled installer.

Nothing here needs numpy: it may be one of them.
"""

from __future__ import annotations

import importlib.util
import platform
import struct
from pathlib import Path

from edge_runtime.machine import this_machine
from edge_runtime.processor import narrow_userland

# e_machine of an ELF file: its processor as wheel tags spell it. https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html
_ELF_MACHINES = {3: "i686", 40: "armv7l", 62: "x86_64", 183: "aarch64"}


def foreign_library(package: str) -> str | None:
    """ "it is built for aarch64, this Python for x86_64: …" when a compiled file of the package is; None when all are for this machine."""
    spec = importlib.util.find_spec(package)
    here = _elf_machine(Path("/proc/self/exe"))
    for folder in spec.submodule_search_locations or () if spec else ():
        for library in sorted(Path(folder).rglob("*.so")):
            machine = _elf_machine(library)
            if machine and here and machine != here:
                return f"it is built for {machine}, this Python for {this_place()}: install it with this Python's own pip, or get the bundle for here"
    return None


def this_place() -> str:
    """This machine as it matters to wheels, with the trap named where there is one."""
    architecture = this_machine().architecture
    narrow = narrow_userland(architecture, platform.machine())
    return f"{architecture} ({narrow})" if narrow else architecture


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
