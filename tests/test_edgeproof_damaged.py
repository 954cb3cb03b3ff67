"""Exports spoilt on purpose fail, and the layer named is the spoilt one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeproof.workspace import Workspace
from evidence.damaging import not_normalized, replace_artifact, scale_weights, weighted_layers, wrong_zero_point
from tests.pipelines import Run, run

Spoil = Callable[[bytes], bytes]


@pytest.fixture
def workspace(digits_run: Run, tmp_path: Path) -> Workspace:
    shutil.copytree(digits_run.workspace, tmp_path / "w", ignore=shutil.ignore_patterns("latency", "outputs", "figures"))
    return Workspace(tmp_path / "w")


def parity_of(workspace: Workspace, format: str, spoil: Spoil) -> Run:
    """`edgeproof parity` with this artifact spoilt, and no other there."""
    name = f"compact-{format}.{format.split('-')[0]}"
    replace_artifact(workspace, name, spoil((workspace / "artifacts" / name).read_bytes()))
    return run("parity", "-w", "w", "--kernels", "default", cwd=workspace.path.parent, workspace=workspace.path)


@pytest.mark.parametrize(
    ("format", "spoil", "layer"),
    [
        ("tflite-int8", lambda model: scale_weights(model, 2), "conv2d_2"),
        ("tflite-int8", lambda model: wrong_zero_point(model, 1), "conv2d_1"),
        ("onnx-int8", lambda model: scale_weights(model, 2), "conv2d_2"),
        ("onnx-int8", lambda model: scale_weights(model, -1), "dense"),  # its labels stay what they were
        ("tflite-float32", lambda model: scale_weights(model, -1), "dense"),
        ("onnx-float32", lambda model: scale_weights(model, 1), "conv2d_1"),
        ("tflite-int8", not_normalized, "input"),
    ],
)
def test_a_spoilt_export_fails_and_the_layer_is_named(workspace: Workspace, format: str, spoil: Spoil, layer: str) -> None:
    assert layer == "input" or layer in weighted_layers(workspace, "qat")
    done = parity_of(workspace, format, spoil)
    report = done.json("parity.json")
    assert (done.code, report["verdict"]) == (1, "FAIL"), done.stderr
    assert {suspect["layer"] for suspect in report["suspects"]} == {layer}
    assert [suspect["row"] for suspect in report["suspects"]] == list(range(len(report["rows"]))), "on every runtime"
    source = "folded" if "float" in format else "qat"
    assert all(suspect["hop"]["from"] == source for suspect in report["suspects"])
    assert all(row["reason"].endswith(suspect["sentence"]) for row, suspect in zip(report["rows"], report["suspects"], strict=True))
    lines = done.stdout.splitlines()
    (title,) = (index for index, line in enumerate(lines) if line.startswith("Layers of"))
    assert [line.split()[0] for line in lines[title + 2 : title + 10]][:3] == ["input", "conv2d", "conv2d_1"]
    again = run("parity", "--rejudge", "-w", "w", cwd=workspace.path.parent, workspace=workspace.path).json("parity.json")
    assert (again["layers"], again["suspects"]) == (report["layers"], report["suspects"])


def test_the_model_before_the_export_is_blamed_where_it_is_the_one(workspace: Workspace) -> None:
    validation = workspace.read_arrays("validation.npz")
    for name in ("labels", "baseline_probabilities", "folded_probabilities"):  # as if training had known better than the QAT model does
        validation[name] = (validation[name] + 1) % 10 if name == "labels" else validation[name][:, [9, *range(9)]]
    workspace.write_arrays("validation.npz", validation)
    report = parity_of(workspace, "tflite-int8", lambda model: model).json("parity.json")
    assert (report["verdict"], report["layers"]) == ("FAIL", [])
    assert {suspect["sentence"] for suspect in report["suspects"]} == {"lost between folded and qat, before the export"}
