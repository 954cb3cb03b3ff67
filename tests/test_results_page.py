"""docs/results.md names every field that the code writes, and none that it does not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.history import HistoryLine, PredictedTime
from benchmarks.latency import measure
from benchmarks.layers import LayerRow
from benchmarks.matrix import Artifact
from benchmarks.peers import PeerRow
from benchmarks.results import LatencyResult, to_result
from benchmarks.tables import FOLDER
from benchmarks.targets import find_target
from benchmarks.thinning import thin
from edge_runtime.board import board_facts, full_reading, reading
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
    return to_result(measure([Artifact(path, "tflite-int8", "qat", "", (), 1)], tiny_images, find_target("local"), seconds=0.01), "local")


def test_latency(timed: dict[str, Any]) -> None:
    aa = dict.fromkeys(("artifact", "runtime", "threads", "ratio", "low", "high"), 1)
    board = {"board": {**board_facts(), "before": full_reading(), "during": [], "after": {}}}
    written = {*paths({**thin(LatencyResult(timed), 100), "left_out": []}), "aa", *paths({"aa": aa}), *paths(board)}
    assert set(reading()) < set(full_reading())
    check("Latency", written, parents=frozenset({"board.before"}))


def test_counts() -> None:
    counts = json.loads((FOLDER / "sim-pi4.json").read_text())
    written = {name for name in paths(counts) if not name.startswith("rows[].predicted.predict.")}
    check("Counts", written, parents=frozenset({"rows[].predicted"}))


def test_history() -> None:
    times = {f"predicted_predict_ms.{field.name}" for field in fields(PredictedTime)}
    check("History", ({field.name for field in fields(HistoryLine)} | times) - COMMON)


def test_parity(tiny_judged: Judged) -> None:
    parity = with_layers(tiny_judged.parity)
    assert set(parity["layers"][0]) == {"row", *asdict(LayerRow("", None, None, None))}
    check("Parity", {*paths({**parity, "left_out": []})})


def test_peers() -> None:
    top = {"schema", "baseline_sha256", "images", "utc", "target", "session", "made", "left_out[]"}
    assert top - {"left_out[]"} <= set(re.findall(r'"(\w+)":', (ROOT / "edgeproof/stages/peering.py").read_text()))
    check("Peers", top | {f"rows[].{field.name}" for field in fields(PeerRow)})
