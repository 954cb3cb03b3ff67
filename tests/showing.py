"""A workspace with something of everything that the dashboard shows: judged and timed for real, the rest written as its files are."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.history import FILE, append_history, history_lines
from benchmarks.predict import Prediction
from benchmarks.results import LatencyResult
from edgeproof.workspace import Workspace
from tests.pipelines import run

FORMATS = ("tflite-float32", "tflite-int8", "onnx-float32")
FAILED = "no set of <float> layers would do"
THROTTLED = "throttled while it was timed"
_PEER: dict[str, Any] = {
    "peer": "tflite-ptq", "title": "TFLiteConverter, int8", "how": "from_keras_model, DEFAULT.", "artifact": "tiny-ptq.tflite", "bytes": 3000,
    "sha256": "ef" * 32, "runtime": "ai-edge-litert", "accuracy": 0.75, "drop_pp": 25.0, "drop_lower_pp": 18.0, "drop_upper_pp": 33.0, "broken": 24,
    "fixed": 0, "verdict": "FAIL", "int8_macs_percent": 100.0, "p50_us": 2.5, "ours": "tiny-tflite-int8.tflite", "ours_sha256": "cd" * 32,
    "ours_runtime": "ai-edge-litert", "runtime_version": "2.3.0", "ratio": 0.97, "ratio_low": 0.95, "ratio_high": 0.99,
    "reason": "drop at least 18 pp",
}  # fmt: skip
_NEVER_MADE = {
    **dict.fromkeys(_PEER),
    "peer": "openvino",
    "title": "OpenVINO",
    "how": "nncf.quantize",
    "runtime": "openvino",
    "reason": "not installed",
}


@pytest.fixture(scope="session")
def shown(tiny_artifacts: dict[str, Path], tiny_images: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three exports judged and timed on this machine, one of them failing; counts of a simulated board; a session of a throttled board; peers."""
    folder = tmp_path_factory.mktemp("shown")
    np.savez(folder / "pictures.npz", images=tiny_images, labels=_answers(tiny_artifacts["tflite-float32"], tiny_images), class_names=["a", "b", "c"])
    damaged = folder / "damaged.tflite"
    damaged.write_bytes(_damaged(tiny_artifacts["tflite-float32"]))
    files = [*(tiny_artifacts[format] for format in FORMATS), damaged]
    options = ("--baseline", files[0], "--data", "pictures.npz", "--kernels", "default", "--max-drop", "5", "-w", "w")
    done = run("parity", *options, "--export", *files, cwd=folder)
    assert done.code == 1, done.stderr
    timed = run("bench", "-w", "w", "--seconds", "0.05", cwd=folder)
    assert list((folder / "w/latency").glob("local-*.json")), timed.stderr
    workspace = Workspace(folder / "w")
    manifest = workspace.read_json("artifacts/manifest.json")
    workspace.write_json("artifacts/manifest.json", {**manifest, "failed": {"tflite-mixed": FAILED}})
    (session,) = (workspace / "latency").glob("local-*.json")
    fields = {**json.loads(session.read_text()), "validity": {"verdict": "VALID", "reasons": []}}
    session.write_text(json.dumps(fields))  # on a machine that has other things to do it may not have been
    throttled = {**fields, "target": "ssh://pi@pi4", "validity": {"verdict": "INVALID", "reasons": [THROTTLED]}}
    workspace.write_json(f"latency/ssh-pi-pi4-{fields['utc']}.json", throttled)
    workspace.write_json(f"latency/sim-pi4-{fields['utc']}.json", counts(fields))
    workspace.write_json(f"latency/sim-pi4-layers-{fields['utc']}.json", layers(fields))
    append_history(workspace / FILE, history_lines(LatencyResult(fields), "ab" * 20, False))
    peers = {"schema": 1, "baseline_sha256": workspace.read_json("training.json").get("baseline_sha256"), "images": len(tiny_images)}
    session = {"target": "local", "utc": fields["utc"], "made": {}}
    workspace.write_json("peers/peers.json", {**peers, **session, "rows": [_PEER, _NEVER_MADE]})
    return workspace.path


def counts(session: dict[str, Any]) -> dict[str, Any]:
    """A result of sim-pi4 about the same files, with predicted times."""
    about = {"board": "Raspberry Pi 4 Model B Rev 1.5", "core": "cortex-a72", "emulator": "qemu-aarch64", "llvm": "19", "python": "3.11"}
    rows = []
    for number, row in enumerate(session["rows"]):
        names = ("artifact", "format", "sha256", "bytes", "runtime", "runtime_version", "kernels", "threads", "delegate")
        time = {
            scope: asdict(Prediction(1e5, 9e4, 0.05 + 0.03 * number, 0.04 + 0.03 * number, 0.06 + 0.03 * number)) for scope in ("predict", "invoke")
        }
        instructions = {"empty": 0, "predict": 2_000_000 + number, "invoke": 1_900_000 + number}
        rows.append({**{name: row[name] for name in names}, "reason": "", "instructions": instructions, "predicted": time})
    return {"schema": 1, "kind": "instructions", "target": "sim-pi4", "utc": session["utc"], **about, "threads": 1, "runs": 20, "rows": rows}


def layers(session: dict[str, Any]) -> dict[str, Any]:
    """A result of sim-pi4 about the layers of the first file."""

    def cost(instructions: float) -> dict[str, Any]:
        times = {"milliseconds": instructions / 1e6, "low": 0.8 * instructions / 1e6, "high": 1.25 * instructions / 1e6}
        return {"instructions": instructions, "cycles": instructions, "predicted": times}

    names = ("artifact", "format", "sha256", "bytes", "runtime", "runtime_version", "kernels", "threads", "delegate")
    parts = [{"operator": "CONV_2D", "layers": ["conv2d"], "dtype": "float32", "macs": 1296, "cost": cost(7e4)}]
    sums = {"call": cost(1e4), "rest": cost(-2e3), "python": cost(2.2e4), "invoke": cost(7.8e4), "predict": cost(1e5)}
    row = {**{name: session["rows"][0][name] for name in names}, "reason": "", "parts": parts, **sums}
    return {"schema": 1, "kind": "layers", "how": "counted", "target": "sim-pi4", "utc": session["utc"], "threads": 1, "rows": [row]}


def _answers(path: Path, images: np.ndarray) -> np.ndarray:
    from edge_runtime.classifier import Classifier

    return np.asarray(Classifier.load(path, runtime="ai-edge-litert").predict(images).labels)


def _damaged(path: Path) -> bytes:
    """With one bias so large that one class is always answered."""
    from tests.conftest import TINY_BIAS

    content, bias = path.read_bytes(), np.array(TINY_BIAS, "<f4").tobytes()
    assert content.count(bias) == 1
    return content.replace(bias, np.array([99.0, *TINY_BIAS[1:]], "<f4").tobytes())
