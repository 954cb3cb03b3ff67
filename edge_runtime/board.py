"""What a machine says of itself: what it is, how fast it runs just now, and whether heat or a weak supply held it back.

Every fact from a file of the kernel's or, on a Raspberry Pi, from `vcgencmd`: nothing is changed.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

from edge_runtime.processor import Processor, this_processor

_SECONDS = 5.0  # for a program that should answer at once

# `vcgencmd get_throttled`: the low bits say what is so now, the same 16 higher what was so since the board started.
# https://www.raspberrypi.com/documentation/computers/os.html#get_throttled
THROTTLE_BITS = {0: "under-voltage", 1: "clock capped", 2: "throttled", 3: "soft temperature limit"}
SINCE_BOOT = 16

_HYPERVISORS = re.compile(
    r"qemu|kvm|vmware|virtualbox|innotek|xen|bochs|bhyve|parallels|virtual machine|hvm domu|google compute engine|amazon ec2|openstack"
    r"|apple virtualization",
    re.IGNORECASE,
)


def host_facts(root: Path = Path("/")) -> dict[str, Any]:
    """The machine a number was measured on: it means nothing without."""
    processor = _processor(root)
    return {
        "cpu": processor.name,
        "flags": list(processor.features),
        "cores": len(os.sched_getaffinity(0)),
        "governor": _read(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "machine": platform.machine(),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def board_facts(root: Path = Path("/")) -> dict[str, Any]:
    """What stays as it is: {model, virtual, governor, clock_max_khz}. `virtual` is the evidence that this is no real board, or ""."""
    return {
        "model": _processor(root).board or _dmi(root),
        "virtual": virtual_machine(root),
        "governor": _read(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "clock_max_khz": _fastest(root, "cpuinfo_max_freq"),
    }


def reading(root: Path = Path("/")) -> dict[str, Any]:
    """What changes: {clock_khz, temperature_c, cooling}, each None where the board does not tell. Files only: cheap enough to ask often.

    clock_khz: of the fastest core. cooling: how many steps the kernel slows the processor down by, for heat.
    """
    temperature = _number(root / "sys/class/thermal/thermal_zone0/temp")
    return {
        "clock_khz": _fastest(root, "scaling_cur_freq"),
        "temperature_c": None if temperature is None else temperature / 1000,
        "cooling": _cooling(root),
    }


def full_reading(root: Path = Path("/")) -> dict[str, Any]:
    """`reading` with `throttled`: the bits of a Raspberry Pi's firmware, or None where there is no such thing."""
    return {**reading(root), "throttled": throttled(root)}


def throttled(root: Path = Path("/")) -> int | None:
    """The firmware's throttle bits, from `vcgencmd`; without it from the kernel, whose voltage alarm is bit 0."""
    said = _output("vcgencmd", "get_throttled")
    match = re.fullmatch(r"throttled=(0x[0-9a-fA-F]+)", said)
    if match:
        return int(match[1], 16)
    for path in root.glob("sys/devices/platform/soc/soc:firmware/get_throttled"):
        return int(_read(path) or "0", 16)
    for path in root.glob("sys/class/hwmon/hwmon*/name"):
        if _read(path) == "rpi_volt":
            return int(_read(path.with_name("in0_lcrit_alarm")) == "1")
    return None


def throttle_words(bits: int) -> list[str]:
    """What bits 0 to 3 mean."""
    return [word for bit, word in THROTTLE_BITS.items() if bits >> bit & 1]


def virtual_machine(root: Path = Path("/")) -> str:
    """The first evidence that this is a virtual machine, in words; "" for a real one, as far as one can tell from inside."""
    compatible = _read(root / "proc/device-tree/compatible").replace("\0", " ")
    cpuinfo = _read(root / "proc/cpuinfo")
    dmi = _dmi(root)
    if "dummy-virt" in compatible or "qemu" in compatible.lower():
        return f"its device tree is {compatible.strip()}"
    if _HYPERVISORS.search(dmi):
        return f"its maker is {dmi}"
    if re.search(r"^flags\s*:.*\bhypervisor\b", cpuinfo, re.MULTILINE):
        return "its processor reports a hypervisor"
    if (root / "proc/device-tree/hypervisor").exists() or (root / "sys/firmware/qemu_fw_cfg").exists():
        return "its firmware reports a hypervisor"
    if platform.machine().startswith(("aarch64", "arm")) and "vendor_id" in cpuinfo:  # qemu-user 7.2 shows the host's
        return "its processor describes itself as another architecture's"
    found = _output("systemd-detect-virt", "--vm")
    return f"systemd-detect-virt says {found}" if found not in ("", "none") else ""


def _dmi(root: Path) -> str:
    names = [_read(root / "sys/class/dmi/id" / name) for name in ("sys_vendor", "product_name")]
    return " ".join(filter(None, names))


def _processor(root: Path) -> Processor:
    return this_processor(root / "proc/cpuinfo", root / "proc/device-tree/model")


def _fastest(root: Path, name: str) -> int | None:
    found = [_number(path) for path in root.glob(f"sys/devices/system/cpu/cpufreq/policy*/{name}")]
    return max((value for value in found if value is not None), default=None)


def _cooling(root: Path) -> int | None:
    """The largest state of the devices that cool by slowing the processor."""
    devices = [path.parent for path in root.glob("sys/class/thermal/cooling_device*/type") if re.search("cpufreq|processor", _read(path), re.I)]
    states = [_number(device / "cur_state") for device in devices]
    return max((state for state in states if state is not None), default=None)


def _number(path: Path) -> int | None:
    text = _read(path)
    return int(text) if re.fullmatch(r"-?\d+", text) else None


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip().strip("\0")
    except OSError:
        return ""


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False, stdin=subprocess.DEVNULL).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""
