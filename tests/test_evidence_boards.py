"""Networks with published times, run on a simulated board: two tiny ones here, with times made up."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.boards import BOARDS
from benchmarks.mca import Analyser, have_llvm
from benchmarks.predict import CYCLES, LLVM_CORES, MOVED, TIMES
from benchmarks.targets.simulated import SimulatedTarget
from edge_runtime.errors import InputError
from edgeproof.cache import cache_folder
from evidence.boards import rows_of
from evidence.findings import ROOT
from evidence.networks import Published, ncnn_packages, read_published, run_all, run_network

_LAYERS = """Input             data  0 1 data
Convolution       conv  1 1 data conv 0={channels} 1=3 4=1 5=1 6={weights}
Pooling           pool  1 1 conv pool 0=1 4=1
InnerProduct      dense 1 1 pool dense 0=10 1=1 2={inputs}
"""


def _graph(channels: int) -> str:
    return "7767517\n4 4\n" + _LAYERS.format(channels=channels, weights=27 * channels, inputs=10 * channels)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Networks "small" and "large", and "broken", each with a time on the Pi 4; "unknown" without one."""
    (tmp_path / "small.param").write_text(_graph(8))
    (tmp_path / "large.param").write_text(_graph(64))
    (tmp_path / "unknown.param").write_text(_graph(8))
    (tmp_path / "broken.param").write_text("7767517\n2 2\nInput data 0 1 data\nNoSuchLayer x 1 1 data x\n")
    facts = {"core": "cortex-a72", "clock_ghz": 1.8, "one_thread_ms": {"small": 0.5, "large": 2.0, "broken": 1.0}}
    pixels = dict.fromkeys(("small", "large", "broken"), 32)
    (tmp_path / "published.json").write_text(json.dumps({"source": "made up", "input_pixels": pixels, "boards": {"pi4": facts}}))
    return tmp_path


@pytest.fixture
def able(pi4: SimulatedTarget) -> SimulatedTarget:
    if not have_llvm():
        pytest.skip("llvm-19 is not installed")
    try:
        ncnn_packages(pi4, cache_folder())
    except InputError as error:
        pytest.skip(f"ncnn's wheel cannot be fetched: {error}")
    return pi4


def test_networks_run_once_each_and_more_work_is_more_events(folder: Path, able: SimulatedTarget) -> None:
    published = read_published(folder)
    found, reasons = run_all(published, [able], cache_folder(), lambda *_: None)
    assert set(found["pi4"]) == {"small", "large"}
    assert reasons["unknown"] == "no published time"
    assert "NoSuchLayer" in reasons["broken"]
    assert run_network("small", published, able, cache_folder()) == found["pi4"]["small"], "kept from the first time"
    rows = {row.network: row for row in rows_of("pi4", found["pi4"], published, LLVM_CORES["cortex-a72"], Analyser(cache_folder()))}
    small, large = rows["small"].events, rows["large"].events
    assert large[CYCLES] > 2 * small[CYCLES] > 1000
    assert small[MOVED] < 2000, "it fits in the second cache, which has 16,384 lines"
    assert rows["large"].published == 2.0


def _command(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "evidence.boards", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_constants_are_tested_on_networks_without_being_changed(folder: Path, able: SimulatedTarget) -> None:
    before = TIMES.read_bytes()
    done = _command(folder, "--test", "--boards", "pi4")
    assert done.returncode == 0, done.stderr
    assert "of 2" in done.stdout
    assert "broken is left out: ncnn" in done.stderr
    assert TIMES.read_bytes() == before


def _change(folder: Path, **changes: Any) -> None:
    fields = json.loads((folder / "published.json").read_text())
    fields["boards"]["pi4"] |= changes
    (folder / "published.json").write_text(json.dumps(fields))


def test_times_of_another_board_than_the_simulated_one_are_refused(folder: Path) -> None:
    assert isinstance(read_published(folder), Published)
    _change(folder, clock_ghz=1.5)
    with pytest.raises(InputError, match=r"pi4 as cortex-a72 at 1.5 GHz, not cortex-a72 at 1800 MHz"):
        read_published(folder)
    (folder / "published.json").write_text("{}")
    with pytest.raises(InputError, match="holds no published times"):
        read_published(folder)
    done = _command(folder, "--test")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr


def test_constants_are_written_for_all_boards_or_none(folder: Path) -> None:
    done = _command(folder, "--boards", "pi4")
    assert (done.returncode, "--boards needs --test" in done.stderr) == (2, True)


def test_cores_of_the_boards_have_models() -> None:
    assert {board.core for board in BOARDS.values()} == set(LLVM_CORES)
