"""`bench --peers` on a stranger's network: peers are judged and timed beside ours, kept whole, and used again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeproof.console import Console
from edgeproof.workspace import Workspace
from evidence.peers import OUR_FORMATS, SLOWEST, against_peers
from export.peers import PEERS
from tests.pipelines import Run, run
from tests.test_results_page import check, paths


@pytest.fixture(scope="module")
def benched(twin_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("peers")
    shutil.copytree(twin_run.workspace, folder / "w")
    shutil.copytree(twin_run.workspace.parent / "pictures", folder / "pictures")
    dataset = json.loads((folder / "w/dataset.json").read_text())
    (folder / "w/dataset.json").write_text(json.dumps({**dataset, "source": str(folder / "pictures")}))
    return run("bench", "--peers", "--json", "-w", "w", "--seconds", "0.05", cwd=folder, workspace=folder / "w")


def _rows(record: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["peer"], row["runtime"]): row for row in record["rows"]}


def test_each_peer_is_a_row_on_each_of_its_runtimes(benched: Run) -> None:
    assert benched.code == 0, benched.stderr
    record = benched.json("peers/peers.json")
    rows = _rows(record)
    assert [name for name, _ in rows] == [name for name, peer in PEERS.items() for _ in range(2 if peer.suffix == ".tflite" else 1)]
    assert (record["schema"], record["images"]) == (1, 252)
    assert record["baseline_sha256"] == benched.json("training.json")["baseline_sha256"]
    assert json.loads(benched.stdout)["peers"] == record["rows"]


def test_the_page_of_results_names_every_field(benched: Run) -> None:
    check("Peers", set(paths({**benched.json("peers/peers.json"), "made": None, "left_out": []})))


def test_what_runs_is_judged_audited_and_compared(benched: Run) -> None:
    rows = _rows(benched.json("peers/peers.json"))
    for key in (("tflite-ptq", "ai-edge-litert"), ("tflite-ptq", "tflite-runtime"), ("onnx-static", "onnxruntime"), ("onnx-qat", "onnxruntime")):
        row = rows[key]
        assert row["reason"] == ""
        assert row["accuracy"] > 0.9
        assert row["drop_pp"] == pytest.approx(100 * (row["broken"] - row["fixed"]) / 252)
        assert row["drop_lower_pp"] <= row["drop_pp"] <= row["drop_upper_pp"]
        assert row["p50_us"] > 0
        assert 0 < row["ratio_low"] <= row["ratio"] <= row["ratio_high"]
        assert row["ours"] == f"stranger-{'tflite' if 'tflite' in key[0] else 'onnx'}-int8.{'tflite' if 'tflite' in key[0] else 'onnx'}"
        assert row["ours_runtime"] == key[1]
        assert (benched.workspace / "peers" / row["artifact"]).stat().st_size == row["bytes"]
    assert rows["tflite-ptq", "ai-edge-litert"]["int8_macs_percent"] == 100


def test_a_file_that_a_runtime_does_not_load_is_a_row_with_the_reason(benched: Run) -> None:
    rows = _rows(benched.json("peers/peers.json"))
    refused = rows["tflite-dynamic-range", "tflite-runtime"]
    assert "FULLY_CONNECTED v12 (it has up to v10)" in refused["reason"]
    assert (refused["accuracy"], refused["p50_us"], refused["ratio"]) == (None, None, None)
    loaded = rows["tflite-dynamic-range", "ai-edge-litert"]
    assert (loaded["reason"], loaded["int8_macs_percent"]) == ("", 0)


def test_they_were_timed_in_the_session_of_our_own_files(benched: Run) -> None:
    (session,) = [path for path in (benched.workspace / "latency").iterdir() if benched.json("peers/peers.json")["session"] in path.name]
    timed = json.loads(session.read_text())["rows"]
    assert {"tflite-int8", "onnx-int8"} <= {row["format"] for row in timed if row["peer"] is None}
    assert {"tflite-ptq", "onnx-static", "onnx-static-u8s8", "onnx-qat"} <= {row["peer"] for row in timed}
    assert len({len(row["blocks"]) for row in timed if not row["reason"]}) == 1, "rounds in common"


def test_they_are_used_again_while_the_baseline_is_the_same(benched: Run) -> None:
    before = benched.json("peers/peers.json")["made"]
    again = run("bench", "--peers", "-w", "w", "--runtime", "onnxruntime", "--seconds", "0.05", cwd=benched.workspace.parent)
    assert again.code == 0, again.stderr
    assert benched.json("peers/peers.json")["made"] == before
    assert "Peers: 0 s" in again.stderr, "no TensorFlow was loaded"
    assert "What you would have got without edgeproof" in again.stdout
    assert {row["runtime"] for row in benched.json("peers/peers.json")["rows"]} == {"onnxruntime"}
    assert {path.name for path in (benched.workspace / "peers").iterdir()} == {"peers.json", *(record["artifact"] for record in before.values())}


def test_the_proof_compares_ours_with_the_best_of_them_on_each_runtime(benched: Run, new_console: Callable[..., Console]) -> None:
    findings = against_peers("twin", Workspace(benched.workspace), "", new_console(), sessions=2, seconds=0.05)
    assert [finding.claim.split(":")[0] for finding in findings][:3] == [f"twin on {runtime}" for runtime in list(OUR_FORMATS)[:3]]
    for finding in findings:
        ratio = float(finding.figure.split(" ")[0])
        assert 0.2 < ratio < 5
        assert finding.met == (ratio <= SLOWEST)
        assert "over 2 sessions" in finding.figure
    assert "onnx-static" in findings[2].figure


def test_boards_and_strangers_exports_are_refused_before_anything_runs(benched: Run, tmp_path: Path) -> None:
    refused = run("bench", "--peers", "-w", "w", "--on", "sim-pi4", cwd=benched.workspace.parent)
    assert refused.code == 2
    assert refused.stderr == "error: --peers compares files on this machine: leave --on out.\n"
    shutil.copytree(benched.workspace, tmp_path / "w")
    training = json.loads((tmp_path / "w/training.json").read_text())
    (tmp_path / "w/training.json").write_text(json.dumps({**training, "adopted": True}))
    assert "needs a baseline that other tools can convert" in run("bench", "--peers", "-w", "w", cwd=tmp_path).stderr
