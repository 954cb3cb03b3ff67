"""What a board says of itself, from files as kernels write them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_runtime import board

# As on the boards named, by path below the root.
PI4 = {
    "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
    "proc/device-tree/compatible": "raspberrypi,4-model-b\0brcm,bcm2711\0",
    "proc/cpuinfo": "processor\t: 0\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm crc32 cpuid\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
    "sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq": "1500000\n",
    "sys/devices/system/cpu/cpufreq/policy0/cpuinfo_max_freq": "1800000\n",
    "sys/class/thermal/thermal_zone0/temp": "54530\n",
    "sys/class/thermal/cooling_device0/type": "cpufreq-cpu0\n",
    "sys/class/thermal/cooling_device0/cur_state": "0\n",
}
TWO_CLUSTERS = {
    "sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq": "600000\n",
    "sys/devices/system/cpu/cpufreq/policy4/scaling_cur_freq": "2400000\n",
}


@pytest.fixture
def nothing_to_ask(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A PATH without vcgencmd and systemd-detect-virt."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def _root(folder: Path, *files: dict[str, str]) -> Path:
    for name, content in {name: content for each in files for name, content in each.items()}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


def _program(folder: Path, name: str, says: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\necho '{says}'\n")
    os.chmod(folder / name, 0o755)


def test_a_pi_4(nothing_to_ask: Path, tmp_path: Path) -> None:
    root = _root(tmp_path, PI4)
    assert board.board_facts(root) == {
        "model": "Raspberry Pi 4 Model B Rev 1.4",
        "virtual": "",
        "governor": "ondemand",
        "clock_max_khz": 1_800_000,
    }
    assert board.full_reading(root) == {"clock_khz": 1_500_000, "temperature_c": 54.53, "cooling": 0, "throttled": None}
    host = board.host_facts(root)
    assert (host["cpu"], host["flags"], host["governor"]) == ("Cortex-A72", ["asimd"], "ondemand")


def test_a_machine_that_tells_nothing(nothing_to_ask: Path, tmp_path: Path) -> None:
    assert board.board_facts(tmp_path) == {"model": "", "virtual": "", "governor": "", "clock_max_khz": None}
    assert set(board.full_reading(tmp_path).values()) == {None}


def test_the_clock_is_that_of_the_fastest_core(tmp_path: Path) -> None:
    assert board.reading(_root(tmp_path, TWO_CLUSTERS))["clock_khz"] == 2_400_000


def test_the_firmwares_bits_come_before_the_kernels(nothing_to_ask: Path, tmp_path: Path) -> None:
    hwmon = {"sys/class/hwmon/hwmon1/name": "rpi_volt\n", "sys/class/hwmon/hwmon1/in0_lcrit_alarm": "1\n", "sys/class/hwmon/hwmon0/name": "cpu\n"}
    assert board.throttled(_root(tmp_path, hwmon)) == 0b1
    assert board.throttled(_root(tmp_path, {"sys/devices/platform/soc/soc:firmware/get_throttled": "50005\n"})) == 0x50005
    _program(nothing_to_ask, "vcgencmd", "throttled=0x80008")
    assert board.throttled(tmp_path) == 0x80008
    _program(nothing_to_ask, "vcgencmd", "VCHI initialization failed")
    assert board.throttled(tmp_path) == 0x50005


def test_bits_in_words() -> None:
    assert board.throttle_words(0) == []
    assert board.throttle_words(0b101) == ["under-voltage", "throttled"]
    assert board.throttle_words(0b1010) == ["clock capped", "soft temperature limit"]


@pytest.mark.parametrize(
    ("files", "evidence"),
    [
        ({"proc/device-tree/compatible": "linux,dummy-virt\0"}, "device tree is linux,dummy-virt"),
        ({"proc/device-tree/compatible": "qemu,virt\0"}, "device tree is qemu,virt"),
        ({"sys/class/dmi/id/sys_vendor": "QEMU\n", "sys/class/dmi/id/product_name": "Standard PC\n"}, "maker is QEMU Standard PC"),
        ({"sys/class/dmi/id/sys_vendor": "Microsoft Corporation\n", "sys/class/dmi/id/product_name": "Virtual Machine\n"}, "Virtual Machine"),
        ({"proc/cpuinfo": "model name\t: some\nflags\t\t: fpu hypervisor lahf_lm\n"}, "processor reports a hypervisor"),
        ({"proc/device-tree/hypervisor/compatible": "xen,xen\0"}, "firmware reports a hypervisor"),
        ({"sys/firmware/qemu_fw_cfg/rev": "1\n"}, "firmware reports a hypervisor"),
    ],
)
def test_a_virtual_machine_is_recognized_though_it_calls_itself_a_pi(
    files: dict[str, str], evidence: str, nothing_to_ask: Path, tmp_path: Path
) -> None:
    assert evidence in board.virtual_machine(_root(tmp_path, PI4, files))


def test_systemd_is_asked_last(nothing_to_ask: Path, tmp_path: Path) -> None:
    _program(nothing_to_ask, "systemd-detect-virt", "none")
    assert board.virtual_machine(_root(tmp_path, PI4)) == ""
    _program(nothing_to_ask, "systemd-detect-virt", "kvm")
    assert board.virtual_machine(tmp_path) == "systemd-detect-virt says kvm"
