"""The caches of the boards, and what a program asked of them, as the emulator's plugin targets/caches.c counted it.

Sizes: Raspberry Pi's documentation of its processors (BCM2837B0, RP3A0, BCM2711, BCM2712). Ways: 16 throughout. The cores' first caches have
2 to 4 (Arm's technical reference manuals), but which lines then drive each other out depends on where the kernel happens to put pages; with
the true numbers and the emulator's addresses, errors on boards are the same to 0.1 percentage points.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_KIB = 1024


@dataclass(frozen=True)
class Cache:
    kib: int
    ways: int = 16

    def __str__(self) -> str:
        return f"{self.kib * _KIB}:{self.ways}"  # as the plugin reads it


@dataclass(frozen=True)
class Caches:
    """What one core sees of a board's caches, without a third one where there is one. Lines have 64 bytes in all of them."""

    l1i: Cache
    l1d: Cache
    l2: Cache

    def options(self) -> str:
        """Arguments of the plugin."""
        return f"l1i={self.l1i},l1d={self.l1d},l2={self.l2}"


_A53 = Caches(l1i=Cache(32), l1d=Cache(32), l2=Cache(512))

CACHES: Mapping[str, Caches] = {
    "pi3": _A53,
    "zero2": _A53,
    "pi4": Caches(l1i=Cache(48), l1d=Cache(32), l2=Cache(1024)),
    "pi5": Caches(l1i=Cache(64), l1d=Cache(64), l2=Cache(512)),
}

Traffic = Mapping[str, int]  # how often, by the names in caches.c


def read_traffic(file: Path) -> dict[int, Traffic]:
    """The windows that the plugin wrote, by number. ValueError when it is cut or something else."""
    windows: dict[int, Traffic] = {}
    for line in file.read_text().splitlines():
        number, *counts = line.split(" ")
        windows[int(number)] = {name: int(count) for name, _, count in (item.partition("=") for item in counts)}
    return windows
