"""Interpreters that are missing or broken, for real: the cause and the remedy, found in subprocesses."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from edge_runtime.causes import of_import
from edge_runtime.machine import this_machine
from edge_runtime.processes import of_signal
from edge_runtime.processor import narrow_userland, this_processor
from edge_runtime.runtimes import RUNTIMES
from tests.wheels import unpacked_wheel

ROOT = Path(__file__).parent.parent
ILLEGAL = "import os, signal; os.kill(os.getpid(), signal.SIGILL)"
PI4 = """processor\t: 0
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU part\t: 0xd08
"""
X86_64 = pytest.mark.skipif(platform.machine() != "x86_64", reason="wheels for ARM are foreign on x86-64, where this is about")


def edge_runtime(*arguments: str | Path, before: Path | None = None) -> subprocess.CompletedProcess[str]:
    """`python -m edge_runtime`; what lies in `before` is found before what is installed."""
    path = os.pathsep.join(str(folder) for folder in (before, ROOT) if folder)
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run([sys.executable, "-P", "-m", "edge_runtime", *arguments], env=environment, capture_output=True, text=True)


def doctor(*arguments: str | Path, before: Path | None = None) -> tuple[dict[str, str], int]:
    """What is said of each library and runtime, and the exit code."""
    done = edge_runtime("doctor", "--json", *arguments, before=before)
    assert done.stderr == ""
    found = json.loads(done.stdout)
    tried = [*found["libraries"], *found["runtimes"]]
    assert not any("\n" in one["detail"] for one in tried)
    return {one["name"]: f"{'works' if one['works'] else 'broken'}: {one['detail']}" for one in tried}, done.returncode


def test_on_a_sound_machine_everything_works_and_runs_the_model(tiny_artifacts: dict[str, Path]) -> None:
    found, code = doctor("--model", tiny_artifacts["tflite-int8"])
    assert code == 0
    assert all(detail.startswith("works") for detail in found.values())
    assert found["ai-edge-litert"].endswith("runs tiny-tflite-int8.tflite (XNNPACK)")
    assert found["tflite-runtime"].endswith("runs tiny-tflite-int8.tflite (none)")
    assert "tiny" not in found["onnxruntime"]


def test_for_a_reader_it_names_python_processor_and_each_runtime() -> None:
    done = edge_runtime("doctor")
    assert done.stdout.startswith(f"Python {platform.python_version()}, 64-bit, {this_machine().libc}\n{this_machine().architecture}, ")
    assert "ok  onnxruntime: " in done.stdout


def test_numpy_2_beside_tflite_runtime(tiny_artifacts: dict[str, Path]) -> None:
    numpy = unpacked_wheel("numpy==2.2.6")
    found, code = doctor("--model", tiny_artifacts["tflite-int8"], before=numpy)
    assert code == 0, "ai-edge-litert works with it"
    assert found["ai-edge-litert"].startswith("works")
    assert found["tflite-runtime"] == "broken: tflite-runtime needs numpy<2, this is numpy 2.2.6: pip install 'numpy<2', or use ai-edge-litert."


def test_auto_takes_the_first_that_imports_not_the_first_that_is_found(tiny_artifacts: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "ai_edge_litert").mkdir()
    (tmp_path / "ai_edge_litert/__init__.py").write_text("import a_library_that_is_not_there")
    open_it = f"from edge_runtime.interpreter import open_model; print(open_model({str(tiny_artifacts['tflite-int8'])!r}).runtime)"
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    done = subprocess.run([sys.executable, "-P", "-c", open_it], env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "tflite-runtime", done.stderr


@X86_64
@pytest.mark.parametrize("architecture", ["aarch64", "armv7l"])
def test_a_wheel_for_another_processor(tiny_artifacts: dict[str, Path], architecture: str) -> None:
    foreign = unpacked_wheel("tflite-runtime==2.14.0", f"manylinux_2_34_{architecture}")
    found, _ = doctor("--model", tiny_artifacts["tflite-int8"], before=foreign)
    assert f"does not import: it is built for {architecture}, this Python for x86_64: install it with" in found["tflite-runtime"]


@X86_64
def test_a_numpy_for_another_processor_is_one_line_in_every_command(tiny_artifacts: dict[str, Path]) -> None:
    foreign = unpacked_wheel("numpy==1.26.4", "manylinux2014_aarch64")
    found, code = doctor(before=foreign)
    assert code == 1
    assert "it is built for aarch64, this Python for x86_64" in found["numpy"]
    done = edge_runtime("classify", "photo.npy", "--model", tiny_artifacts["tflite-int8"], before=foreign)
    (line,) = done.stderr.splitlines()
    assert (done.returncode, "built for aarch64" in line) == (2, True)


@pytest.mark.parametrize("victim", ["ai_edge_litert", "onnxruntime", "numpy"])
def test_instructions_that_the_processor_lacks(victim: str, tmp_path: Path) -> None:
    (tmp_path / victim).mkdir()
    (tmp_path / victim / "__init__.py").write_text(ILLEGAL)
    found, code = doctor(before=tmp_path)
    name = victim.replace("_", "-")
    assert found[name].startswith("broken")
    assert "SIGILL: this wheel needs instructions that this processor lacks" in found[name]
    assert (code, "tflite-runtime" in found) == ((1, False) if victim == "numpy" else (0, True))


def test_without_any_runtime_the_machine_is_not_fit(tmp_path: Path) -> None:
    for package in ("ai_edge_litert", "tflite_runtime", "onnxruntime"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("raise ImportError('half installed')")
    found, code = doctor(before=tmp_path)
    assert code == 1
    assert found["onnxruntime"] == "broken: onnxruntime is installed but does not import (half installed): install it again."


def test_with_a_model_only_the_runtimes_that_open_it_count(tiny_artifacts: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "onnxruntime").mkdir()
    (tmp_path / "onnxruntime/__init__.py").write_text(ILLEGAL)
    assert doctor("--model", tiny_artifacts["onnx-int8"], before=tmp_path)[1] == 1


def test_a_model_that_cannot_be_used_is_an_error_of_the_user(tiny_artifacts: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "noise.tflite").write_bytes(b"noise" * 100)
    assert "neither" in edge_runtime("doctor", "--model", tmp_path / "noise.tflite").stderr
    done = edge_runtime("doctor", "--model", tiny_artifacts["onnx-int8"], "--sha256", "00" * 32)
    assert (done.returncode, "not the file it should be" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("libatomic.so.1: cannot open shared object file: No such file or directory", "a library of the system's is missing"),
        ("/lib/libc.so.6: version `GLIBC_2.38' not found (required by x.so)", f"it needs a newer system than {this_machine().libc}"),
        ("undefined symbol: _ZN4absl", "install it again"),
    ],
)
def test_what_the_loader_says_becomes_a_remedy(text: str, said: str) -> None:
    message = str(of_import(RUNTIMES["onnxruntime"], ImportError(text)))
    assert message.startswith(f"onnxruntime is installed but does not import ({text})")
    assert said in message


@pytest.mark.parametrize(
    ("runtime", "architecture", "said"),
    [
        ("ai-edge-litert", "armv7l", "no wheels for armv7l: use tflite-runtime on Python 3.11"),
        ("ai-edge-litert", "armv6l", "no wheels for armv6l: use a board with a 64-bit system"),
        ("tflite-runtime", "armv7l", "pip install 'edgeproof[tflite]'"),
    ],
)
def test_a_runtime_without_wheels_for_this_machine_is_not_to_be_installed(
    runtime: str, architecture: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = this_machine()._replace(architecture=architecture)
    for module in ("causes", "foreign"):
        monkeypatch.setattr(f"edge_runtime.{module}.this_machine", lambda: machine)
    monkeypatch.setitem(sys.modules, RUNTIMES[runtime].package, None)
    assert said in str(of_import(RUNTIMES[runtime], ModuleNotFoundError()))


def test_signals_have_a_meaning_and_the_unknown_keep_their_name() -> None:
    assert "crashed" in of_signal(11)
    assert "memory" in of_signal(9)
    assert of_signal(1) == "SIGHUP"


@pytest.mark.parametrize(
    ("architecture", "reported", "narrow"), [("armv7l", "aarch64", True), ("aarch64", "aarch64", False), ("armv7l", "armv7l", False)]
)
def test_a_narrow_userland_is_noticed(architecture: str, reported: str, narrow: bool) -> None:
    warning = narrow_userland(architecture, reported)
    assert (warning is not None) == narrow
    assert warning is None or "32-bit userland on a 64-bit kernel" in warning


def test_the_processor_of_a_pi_4(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(PI4)
    (tmp_path / "model").write_bytes(b"Raspberry Pi 4 Model B Rev 1.4\0")
    found = this_processor(tmp_path / "cpuinfo", tmp_path / "model")
    assert (found.name, found.features, found.board) == ("Cortex-A72", ("asimd",), "Raspberry Pi 4 Model B Rev 1.4")


def test_a_machine_that_says_nothing_of_its_processor(tmp_path: Path) -> None:
    found = this_processor(tmp_path / "none", tmp_path / "none")
    assert found.name
    assert (found.features, found.board) == ((), None)
