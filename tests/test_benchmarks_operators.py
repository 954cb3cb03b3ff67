"""What each operator costs: parts that add up to the whole, on a simulated board and on this machine."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from benchmarks.compare import find_reference
from benchmarks.instructions import count_instructions
from benchmarks.matrix import Artifact
from benchmarks.mca import have_llvm
from benchmarks.operator_results import MOST_REST, NOTHING, PartResult, read_parts, to_counted, to_measured
from benchmarks.operators import Network, Split, Step, keras_layers, split_all
from benchmarks.reports.operators import parts_sentences, parts_tables
from benchmarks.targets.local import LocalTarget
from benchmarks.targets.simulated import SimulatedTarget
from edge_runtime.errors import InputError
from edgeproof.stages.layering import cut_for
from edgeproof.workspace import file_sha256
from tests.pipelines import Run, run
from tests.simulated import RUNTIME

LAYERS = ("conv2d", "global_average_pooling2d", "dense")
ONE_MORE = """
import sys, tf_keras
import tensorflow as tf
layers = tf_keras.layers
def export(name, *between):
    last = [layers.GlobalAveragePooling2D(name="pool"), layers.Dense(3, name="head")]
    model = tf_keras.Sequential([layers.Input((16, 16, 1), batch_size=1), layers.Conv2D(8, 3, name="first"), *between, *last])
    open(f"{sys.argv[1]}/{name}.tflite", "wb").write(tf.lite.TFLiteConverter.from_keras_model(model).convert())
export("without")
export("with", layers.Conv2D(8, 3, padding="same", name="second"))
"""
ALONE = ("call", "rest", "python", "invoke", "predict")


@pytest.fixture(scope="module")
def shown(judged_on_pi4: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """`edgeproof bench --layers` of two tiny exports on the simulated board and here."""
    folder = tmp_path_factory.mktemp("layers")
    shutil.copytree(judged_on_pi4.workspace, folder / "w")
    places = ("--on", "sim-pi4", "--on", "local", "--runtime", RUNTIME)
    return run("bench", "--layers", *places, "--seconds", "0.5", "-w", "w", cwd=folder, workspace=folder / "w")


def results(shown: Run, target: str) -> PartResult:
    (path,) = (shown.workspace / "latency").glob(f"{target}-layers-*.json")
    return read_parts(path)


def artifact_of(path: Path, format: str) -> Artifact:
    return Artifact(path, format, "qat", file_sha256(path), (), path.stat().st_size)


def drawn(result: PartResult) -> str:
    console = Console(width=200, file=io.StringIO())
    for table in parts_tables(result):
        console.print(table)
    return str(console.file.getvalue())


def test_on_a_simulated_board_the_parts_add_up_to_the_whole(shown: Run) -> None:
    assert shown.code == 0, shown.stderr
    result = results(shown, "sim-pi4")
    assert len(result.rows) == 2
    for row in result.rows:
        fields = row.fields
        costs = [part["cost"] for part in fields["parts"]]
        instructions = {name: fields[name]["instructions"] for name in ALONE}
        parts = [cost["instructions"] for cost in costs]
        assert min(parts) > 0
        assert sum(parts) + instructions["call"] + instructions["rest"] == pytest.approx(instructions["invoke"])
        assert instructions["invoke"] + instructions["python"] == pytest.approx(instructions["predict"])
        assert abs(instructions["rest"]) <= MOST_REST["counted"] * instructions["invoke"], "the whole network was run by itself"
        assert [layer for part in fields["parts"] for layer in part["layers"]] == list(LAYERS)
        assert parts[0] > 5 * parts[-1], "the convolution has a hundred times the dense layer's multiply-accumulates"


@pytest.mark.skipif(not have_llvm(), reason="llvm-19 is not installed")
def test_a_predicted_part_has_the_interval_of_the_whole_in_proportion(shown: Run) -> None:
    result = results(shown, "sim-pi4")
    for row in result.rows:
        whole = row.fields["invoke"]["predicted"]
        for cost in (*(part["cost"] for part in row.fields["parts"]), row.fields["call"]):
            time = cost["predicted"]
            assert time["low"] / whole["low"] == pytest.approx(time["milliseconds"] / whole["milliseconds"])
            assert time["high"] / whole["high"] == pytest.approx(time["milliseconds"] / whole["milliseconds"])
        assert sum(row.share(part["cost"]) for part in row.fields["parts"]) < 1


def test_here_the_parts_add_up_to_the_whole(shown: Run) -> None:
    result = results(shown, "local")
    assert len(result.rows) == 2
    for row in result.rows:
        fields = row.fields
        whole, rest = fields["invoke"]["microseconds"], fields["rest"]["microseconds"]
        parts = [part["cost"]["microseconds"] for part in fields["parts"]]
        assert sum(parts) + fields["call"]["microseconds"] + rest == pytest.approx(whole)
        assert abs(rest) <= MOST_REST["measured"] * whole + NOTHING, "the whole network was run by itself"
        assert min(parts) > -0.2
        assert parts[0] > parts[-1], "the convolution has a hundred times the dense layer's multiply-accumulates"


def test_costs_that_were_measured_are_judged(shown: Run) -> None:
    result = results(shown, "local")
    assert result.fields["validity"]["verdict"] in ("VALID", "INVALID")
    assert result.validity.startswith(result.fields["validity"]["verdict"])
    assert f"Times of local are {result.fields['validity']['verdict']}" in shown.stdout
    assert "validity" not in results(shown, "sim-pi4").fields, "counts do not depend on the machine"
    hot = PartResult(to_measured([], "local", 1, reasons=["hot", "slow"]))
    assert hot.validity == "INVALID: hot; slow"


def test_a_layer_costs_what_the_network_costs_less_without_it(pi4: SimulatedTarget, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", ONE_MORE, tmp_path], capture_output=True, text=True, env={"TF_USE_LEGACY_KERAS": "1"})
    assert done.returncode == 0, done.stderr
    images = np.random.default_rng(0).integers(0, 256, (20, 16, 16, 1), np.uint8)
    more, less = (artifact_of(tmp_path / f"{name}.tflite", "tflite-float32") for name in ("with", "without"))
    whole = [one.count("invoke") for one in count_instructions([more, less], images, pi4, runtimes=[RUNTIME])]
    (split,) = split_all([cut_for(more, pi4, [], tmp_path)], images, pi4, runtimes=[RUNTIME])
    (row,) = to_counted([split], pi4)["rows"]
    costs = {part["layers"][0]: part["cost"]["instructions"] for part in row["parts"]}
    assert costs["second"] == pytest.approx(whole[0] - whole[1], rel=0.02)
    assert sum(costs.values()) > 1.2 * costs["second"], "the other layers cost something, too"


def test_predicted_and_measured_times_share_no_table(shown: Run) -> None:
    simulated, here = drawn(results(shown, "sim-pi4")), drawn(results(shown, "local"))
    for word in ("measured", "99 %"):
        assert word in here
        assert word not in simulated
    if have_llvm():
        assert simulated.count("predicted µs") == simulated.count("predicted interval") == 2
        assert any("Predicted, not measured" in line for line in parts_sentences(results(shown, "sim-pi4")))
    assert "predicted" not in here.lower()
    assert "whole" in here
    assert "conv2d" in here


def test_sentences_name_the_costliest_layer_and_what_does_not_add_up(shown: Run) -> None:
    result = results(shown, "local")
    lines = parts_sentences(result)
    assert sum("conv2d (CONV_2D) takes" in line for line in lines) == 2
    row = dict(result.fields["rows"][0])
    row["rest"] = {**row["rest"], "microseconds": row["invoke"]["microseconds"] / 2}
    row["invoke"] = {**row["invoke"], "microseconds": 2 * NOTHING + row["invoke"]["microseconds"]}
    assert any("leave +" in line and "unexplained" in line for line in parts_sentences(PartResult({**result.fields, "rows": [row]})))


def test_the_counts_of_a_target_are_found_beside_those_of_its_layers(shown: Run, tmp_path: Path) -> None:
    shutil.copytree(shown.workspace / "latency", tmp_path / "latency")
    with pytest.raises(InputError, match="holds no result of sim-pi4"):
        find_reference(tmp_path / "latency", "sim-pi4")


@pytest.mark.parametrize("damage", [{"schema": 2}, {"kind": "instructions"}, {"rows": [{"reason": ""}]}, {"rows": None}])
def test_other_files_are_refused(shown: Run, tmp_path: Path, damage: dict[str, Any]) -> None:
    (tmp_path / "some.json").write_text(json.dumps({**results(shown, "local").fields, **damage}))
    with pytest.raises(InputError):
        read_parts(tmp_path / "some.json")


def test_options_that_judge_a_whole_network_are_refused(tmp_path: Path) -> None:
    done = run("bench", "--layers", "--on", "sim-pi4", "--max-ms", "5", cwd=tmp_path)
    assert (done.code, "--layers and --max-ms exclude each other" in done.stderr.replace("\n", " ")) == (2, True), done.stderr


@pytest.mark.parametrize(("format", "runtime"), [("tflite-int8", "tflite-runtime"), ("onnx-int8", "onnxruntime"), ("onnx-float32", "onnxruntime")])
def test_other_runtimes_add_up_too(tiny_artifacts: dict[str, Path], tiny_images: np.ndarray, tmp_path: Path, format: str, runtime: str) -> None:
    network = cut_for(artifact_of(tiny_artifacts[format], format), LocalTarget(), [], tmp_path)
    for seconds in (0.5, 1, 2):  # longer where others have the processor
        (split,) = split_all([network], tiny_images, LocalTarget(), runtimes=[runtime], seconds=seconds)
        assert split.reason == ""
        (row,) = PartResult(to_measured([split], "local", 1)).rows
        if row.adds_up("measured"):
            break
    assert row.adds_up("measured"), row.fields
    assert row.costliest["cost"]["microseconds"] > 0


def test_a_difference_is_taken_within_each_round() -> None:
    artifact = Artifact(Path("a.tflite"), "tflite-int8", "qat", "", (), 1)
    drift = 1000 * np.arange(21.0) ** 2
    split = Split(Network(artifact, (Step("CONV_2D", ("conv",), "int8", 10),)), RUNTIME)
    split.times = {"prefixes": np.array([drift + 400, drift + 5400]), "invoke": drift + 5500, "predict": drift + 7500}
    (row,) = to_measured([split], "local", 1)["rows"]
    assert row["parts"][0]["cost"] == {"microseconds": 5.0, "low": 5.0, "high": 5.0}
    assert row["python"]["microseconds"] == 2.0


def test_a_rest_lies_in_its_interval_and_makes_the_sum_whole() -> None:
    artifact, rng = Artifact(Path("a.tflite"), "tflite-int8", "qat", "", (), 1), np.random.default_rng(0)
    split = Split(Network(artifact, (Step("CONV_2D", ("conv",), "int8", 10), Step("RELU", ("relu",), "int8", 0))), RUNTIME)
    prefixes = np.cumsum(1000 * rng.lognormal(0, 1, (3, 41)), axis=0)  # skewed: sums of medians are far from medians of sums
    split.times = {"prefixes": prefixes, "invoke": prefixes[-1] + 10, "predict": prefixes[-1] + 2000}
    (row,) = to_measured([split], "local", 1)["rows"]
    rest, parts = row["rest"], sum(part["cost"]["microseconds"] for part in row["parts"])
    assert abs(rest["microseconds"] - 0.01) > 0.1
    assert rest["low"] <= rest["microseconds"] <= rest["high"]
    assert parts + row["call"]["microseconds"] + rest["microseconds"] == pytest.approx(row["invoke"]["microseconds"])


def test_names_of_tensors_lead_to_keras_layers() -> None:
    known = ["conv", "act", "dense"]
    assert keras_layers(["net/act/Relu;net/quant_conv/BiasAdd;net/quant_conv/Conv2D"], known) == ("act", "conv"), "fused: both"
    assert keras_layers(["StatefulPartitionedCall:0", "net/quant_dense/MatMul"], known) == ("dense",)
    assert keras_layers(["net/act/Relu;net/quant_conv/BiasAdd;net/quant_conv/Conv2D"], []) == ("act", "conv"), "of a network never seen"
    assert keras_layers(["Transpose", "reorder_token_0"], known) == ()
