"""The boards that can be simulated, and what their kernels say of them.

Cores and clocks: Raspberry Pi's documentation of its processors (BCM2837B0, RP3A0, BCM2711, BCM2712). Implementer, part and revision are
fields of the cores' MIDR_EL1 register (Arm's technical reference manuals of Cortex-A53, A72 and A76); `features` is the line of
`/proc/cpuinfo` under a 64-bit kernel. XNNPACK and its like choose their kernels by them: no board before the Pi 5 has dot products (asimddp).
"""

from __future__ import annotations

from dataclasses import dataclass

from edge_runtime.machine import Machine

CORES = 4  # of each board here
BOOKWORM = Machine("aarch64", (3, 11), "glibc 2.36")  # Raspberry Pi OS Bookworm, 64-bit: what they are simulated with

_ARMV8_0 = "fp asimd evtstrm crc32 cpuid"  # no crypto extensions: Broadcom left them out
_ARMV8_2 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"


@dataclass(frozen=True)
class Board:
    """A board as programs see it. `core` is QEMU's and LLVM's name of the processor core."""

    name: str
    title: str
    core: str
    clock_mhz: int
    part: int
    variant: int
    revision: int
    features: str
    machine: Machine = BOOKWORM

    def files(self) -> dict[str, str]:
        """What programs read about the processor, by path below /."""
        cores = f"0-{CORES - 1}\n"
        folder = "sys/devices/system/cpu"
        listed = {f"{folder}/{name}": cores for name in ("possible", "present", "online")}
        return {"proc/cpuinfo": self._cpuinfo(), **listed, f"{folder}/kernel_max": f"{CORES - 1}\n"}

    def _cpuinfo(self) -> str:
        core = (
            f"BogoMIPS\t: 108.00\nFeatures\t: {self.features}\nCPU implementer\t: 0x41\nCPU architecture: 8\n"
            f"CPU variant\t: {self.variant:#x}\nCPU part\t: {self.part:#x}\nCPU revision\t: {self.revision}\n\n"
        )
        return "".join(f"processor\t: {index}\n{core}" for index in range(CORES)) + f"Model\t\t: {self.title}\n"


BOARDS: dict[str, Board] = {
    board.name: board
    for board in (
        Board("pi3", "Raspberry Pi 3 Model B Plus Rev 1.3", "cortex-a53", 1400, 0xD03, 0, 4, _ARMV8_0),
        Board("zero2", "Raspberry Pi Zero 2 W Rev 1.0", "cortex-a53", 1000, 0xD03, 0, 4, _ARMV8_0),
        Board("pi4", "Raspberry Pi 4 Model B Rev 1.5", "cortex-a72", 1800, 0xD08, 0, 3, _ARMV8_0),
        Board("pi5", "Raspberry Pi 5 Model B Rev 1.0", "cortex-a76", 2400, 0xD0B, 4, 1, _ARMV8_2),
    )
}


def board_called(model: str) -> Board | None:
    """The board that calls itself so, whatever its revision; None for one that is not among these."""
    return next((board for board in BOARDS.values() if _kind(board.title) == _kind(model)), None)


def _kind(model: str) -> str:
    return model.partition(" Rev ")[0].strip()
