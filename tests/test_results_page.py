"""docs/results.md names every field that the code writes, and none that it does not."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.boards import BOARDS
from benchmarks.counts import to_result as counts_to_result
from benchmarks.history import HistoryLine, PredictedTime
from benchmarks.instructions import Block, Counted
from benchmarks.latency import measure
from benchmarks.layers import LayerRow
from benchmarks.matrix import Artifact
from benchmarks.predict import Prediction, board_times
from benchmarks.results import LatencyResult, to_result
from benchmarks.tables import FOLDER
from benchmarks.targets import find_target
from benchmarks.targets.base import Supply
from benchmarks.targets.simulated import SimulatedTarget
from benchmarks.thinning import thin
from edge_runtime.board import board_facts, full_reading, reading
from edge_runtime.interpreter import PEER_RUNTIMES, RUNTIMES
from tests.reporting import Judged, with_layers

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/results.md").read_text()
_SECTIONS = {part.split("\n", 1)[0]: part for part in PAGE.split("\n## ")}
COMMON = set(re.findall(r"^\| `([^`]+)` \|", PAGE.split("\n## ")[0], flags=re.M))


def documented(section: str) -> set[str]:
    """The fields of one section's table."""
    return set(re.findall(r"^\| `([^`]+)` \|", _SECTIONS[section], flags=re.M))


def paths(value: Any, name: str = "") -> Iterator[str]:
    """Every field of JSON data, as the page writes them."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from paths(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for inner in value:
            yield from paths(inner, f"{name}[]")
    else:
        yield f"{name}[]" if isinstance(value, list) else name


def check(section: str, written: set[str], *, parents: frozenset[str] = frozenset()) -> None:
    """parents: objects that the page has a line for, too."""
    written = {name for name in written if name.removeprefix("rows[].") not in COMMON or not name.startswith("rows[].")}
    assert written - documented(section) == set(), "written, and not on the page"
    assert documented(section) - written == parents, "on the page, and not written"


@pytest.fixture(scope="module")
def timed(tiny_artifacts: dict[str, Path], tiny_images: np.ndarray) -> dict[str, Any]:
    path = tiny_artifacts["tflite-int8"]
    one, *_ = measure([Artifact(path, "tflite-int8", "qat", "", (), 1)], tiny_images, find_target("local"), seconds=0.01)
    return to_result([replace(one, twin=one)], "local")


def test_latency(timed: dict[str, Any]) -> None:
    board = {"board": {**board_facts(), "before": full_reading(), "during": [], "after": {}}}
    written = {*paths({**thin(LatencyResult(timed), 100), "left_out": []}), "aa", *paths(board)}
    assert set(reading()) < set(full_reading())
    check("Latency", written, parents=frozenset({"board.before"}))


@pytest.mark.skipif(shutil.which("qemu-aarch64") is None, reason="qemu-user is not installed: the result says its version")
def test_counts(supply_here: Supply, tmp_path: Path) -> None:
    """As it is written now: the committed reference may have been counted before a field was added."""
    facts = {"runtime_version": "1", "kernels": "default", "threads": 1, "delegate": "none"}
    windows = dict.fromkeys(("empty", "invoke", "predict"), {Block(0, bytes(4)): 1})
    counted = Counted(Artifact(Path("a.tflite"), "tflite-int8", "qat", "", (), 1), "ai-edge-litert", facts, windows=windows)
    predicted = dict.fromkeys(("invoke", "predict"), Prediction(1.0, 1.0, 1.0, 1.0, 1.0))
    target = SimulatedTarget(BOARDS["pi4"], supply_here, tmp_path)
    counts = counts_to_result([counted], target, [predicted], "19", board_times("pi4"))
    assert set(paths(json.loads((FOLDER / "sim-pi4.json").read_text()))) <= set(paths(counts))
    written = {name for name in paths(counts) if not name.startswith("rows[].predicted.predict.")}
    check("Counts", written, parents=frozenset({"rows[].predicted"}))


def test_every_runtime_is_named() -> None:
    (line,) = (line for line in PAGE.splitlines() if line.startswith("| `runtime` |"))
    assert {name for name in (*RUNTIMES, *PEER_RUNTIMES) if f"`{name}`" not in line} == set()


def test_history() -> None:
    times = {f"predicted_predict_ms.{field.name}" for field in fields(PredictedTime)}
    check("History", ({field.name for field in fields(HistoryLine)} | times) - COMMON)


def test_parity(tiny_judged: Judged) -> None:
    parity = with_layers(tiny_judged.parity)
    assert set(parity["layers"][0]) == {"row", *asdict(LayerRow("", None, None, None))}
    check("Parity", {*paths({**parity, "left_out": []})})
