"""The processor this runs on, and what it has that interpreters choose their kernels by.

Standard library only, and one file without imports of ours: this very text is piped into a board's `python3 -` to ask which board it is.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

_TELLING = {"avx2", "avx512f", "avx512bw", "avx512_vnni", "avx_vnni", "amx_int8", "neon", "asimd", "asimddp", "i8mm", "sve"}
# Linux on ARM gives numbers. (implementer, part): MIDR_EL1 as listed in the kernel's arch/arm64/include/asm/cputype.h
_ARM_CORES = {
    ("0x41", "0xb76"): "ARM1176",
    ("0x41", "0xc07"): "Cortex-A7",
    ("0x41", "0xd03"): "Cortex-A53",
    ("0x41", "0xd05"): "Cortex-A55",
    ("0x41", "0xd08"): "Cortex-A72",
    ("0x41", "0xd0b"): "Cortex-A76",
}


@dataclass(frozen=True)
class Processor:
    """Its name, those of its features that matter here, and the board it sits on where one is known."""

    name: str
    features: tuple[str, ...]
    board: str | None


def this_processor(cpuinfo: Path = Path("/proc/cpuinfo"), device_tree: Path = Path("/proc/device-tree/model")) -> Processor:
    """From what Linux says; the architecture's name where it says nothing."""
    facts: dict[str, str] = {}
    for line in _read(cpuinfo).splitlines():
        name, _, value = line.partition(":")
        facts.setdefault(name.strip(), value.strip())
    core = _ARM_CORES.get((facts.get("CPU implementer", ""), facts.get("CPU part", "")))
    features = set(facts.get("flags", facts.get("Features", "")).split()) & _TELLING
    name = facts.get("model name") or core or platform.processor() or platform.machine()
    return Processor(name, tuple(sorted(features)), _read(device_tree).rstrip("\0") or None)


def narrow_userland(architecture: str, reported: str) -> str | None:
    """A warning where the kernel is wider than the system on it, as on 32-bit Raspberry Pi OS: what it reports misleads installers.

    architecture: of this Python, as `machine.this_machine` finds it; reported: what the kernel says.
    """
    if (architecture, reported) not in (("armv7l", "aarch64"), ("i686", "x86_64")):
        return None
    return f"32-bit userland on a 64-bit kernel: the kernel says {reported}, wheels must be for {architecture}"


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
