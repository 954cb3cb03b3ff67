"""Which boards can have a bundle, and what the others are told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edge_runtime.errors import InputError
from edge_runtime.machine import Machine
from export.platforms import (
    BOARDS,
    SYSTEMS,
    TESTED,
    default_runtime,
    least_glibc,
    machine_of,
    pins,
    platform_tags,
    refuse,
)

WIDE = ("pi5", "pi4", "pi3", "zero2")


def test_every_64_bit_board_has_a_bundle_under_both_releases() -> None:
    for board in WIDE:
        bookworm, trixie = machine_of(board, "bookworm"), machine_of(board, "trixie")
        assert (default_runtime(bookworm), default_runtime(trixie)) == ("tflite-runtime", "ai-edge-litert")
        refuse(bookworm, ["tflite-runtime", "ai-edge-litert", "onnxruntime"])
        refuse(trixie, ["ai-edge-litert", "onnxruntime"])


@pytest.mark.parametrize(
    ("board", "system", "runtime", "reason"),
    [
        ("zero", "bookworm", "tflite-runtime", "no wheels exist for its ARMv6 processor"),
        ("pi1", "trixie", "ai-edge-litert", "no wheels exist for its ARMv6 processor"),
        ("pi4", "trixie-32", "ai-edge-litert", "numpy and Pillow publish no wheels for 32-bit ARM"),
        ("pi4", "bookworm-32", "tflite-runtime", "numpy and Pillow publish no wheels for 32-bit ARM"),
        ("pi2", "bookworm", "tflite-runtime", "numpy and Pillow publish no wheels for 32-bit ARM"),
        ("pi4", "bullseye", "tflite-runtime", r"Python 3\.11 to 3\.13 is needed"),
    ],
)
def test_a_board_without_wheels_hears_why_and_what_would_work(board: str, system: str, runtime: str, reason: str) -> None:
    with pytest.raises(InputError, match=f"{reason}.*; 64-bit Raspberry Pi OS"):
        refuse(machine_of(board, system), [runtime])


def test_tflite_runtime_on_trixie_names_the_other() -> None:
    with pytest.raises(InputError, match=r"the newest wheels of tflite-runtime are for Python 3\.11 .*; use ai-edge-litert"):
        refuse(machine_of("pi4", "trixie"), ["tflite-runtime"])


def test_a_board_whose_c_library_is_too_old_or_another_one() -> None:
    with pytest.raises(InputError, match=r"the wheels of tflite-runtime, numpy and Pillow need glibc 2\.34"):
        refuse(Machine("aarch64", (3, 11), "glibc 2.31"), ["tflite-runtime"])
    refuse(Machine("aarch64", (3, 11), "glibc 2.31"), ["ai-edge-litert"])  # its wheels are older
    with pytest.raises(InputError, match="the wheels need glibc"):
        refuse(Machine("aarch64", (3, 11), "musl"), ["ai-edge-litert"])


def test_misspelt_names_are_told_the_nearest() -> None:
    with pytest.raises(InputError, match="Unknown board 'pi55'. Did you mean 'pi5'"):
        machine_of("pi55", "bookworm")
    with pytest.raises(InputError, match="Unknown operating system 'trixy'. Did you mean 'trixie'"):
        machine_of("pi5", "trixy")
    with pytest.raises(InputError, match="Unknown runtime"):
        refuse(machine_of("pi5", "bookworm"), ["tflite"])


def test_pip_is_told_every_platform_that_the_c_library_can_load() -> None:
    tags = platform_tags(Machine("aarch64", (3, 11), "glibc 2.36"))
    assert tags[0] == "manylinux_2_36_aarch64"
    assert {"manylinux_2_34_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64"} <= set(tags)
    assert "manylinux_2_37_aarch64" not in tags
    assert "manylinux_2_34_aarch64" not in platform_tags(Machine("aarch64", (3, 11), "glibc 2.31"))


def test_a_bundle_starts_on_no_older_c_library_than_its_wheels_do() -> None:
    bookworm = machine_of("pi4", "bookworm")
    assert least_glibc(bookworm, ["tflite-runtime"]) == (2, 34)
    assert least_glibc(bookworm, ["ai-edge-litert"]) == (2, 27)
    assert least_glibc(bookworm, ["ai-edge-litert", "onnxruntime"]) == (2, 28)


def test_numpy_is_the_one_that_the_runtime_and_the_python_take() -> None:
    assert pins(machine_of("pi4", "bookworm"), {"tflite-runtime": "2.14.0"}, serves=False)["numpy"].startswith("1.")
    assert pins(machine_of("pi4", "trixie"), {"ai-edge-litert": "2.3.0"}, serves=False)["numpy"].startswith("2.")


def test_the_versions_are_those_of_the_tested_set() -> None:
    pinned = dict(re.findall(r"^(\S+)==(\S+)$", (Path(__file__).parent.parent / "constraints.txt").read_text().lower(), re.MULTILINE))
    assert {name: pinned[name.lower()] for name in TESTED} == TESTED


def test_every_board_and_release_has_its_machine() -> None:
    machines = {machine_of(board, system) for board in BOARDS for system in SYSTEMS}
    assert {machine.architecture for machine in machines} == {"aarch64", "armv7l", "armv6l"}
    assert all(machine_of(board, "bookworm-32").architecture != "aarch64" for board in BOARDS)
