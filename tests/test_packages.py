"""Every package the toolkit is built on does its job on the main path: shown by what it left in a real run's workspace."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.metadata import ONNX_KEY
from tests.pipelines import Run

PACKAGES = (
    "tensorflow",
    "tensorflow-model-optimization",
    "tflite-runtime",
    "onnx",
    "tf2onnx",
    "onnxruntime",
    "numpy",
    "pandas",
    "scikit-learn",
)


def _tensorflow_made_the_flatbuffer(workspace: Path) -> bool:
    content = (workspace / "artifacts/compact-tflite-int8.tflite").read_bytes()
    return content[4:8] == b"TFL3" and b"CONVERSION_METADATA" in content  # the entry TensorFlow's converter writes


def _model_optimization_made_the_qat_model(workspace: Path) -> bool:
    import h5py

    with h5py.File(workspace / "qat.h5") as file:
        return "QuantizeWrapperV2" in file.attrs["model_config"]


def _tflite_runtime_answered(workspace: Path) -> bool:
    rows = json.loads((workspace / "parity.json").read_text())["rows"]
    return sum((row["runtime"], row["runtime_version"]) == ("tflite-runtime", "2.14.0") for row in rows) == 2 * 3  # formats × kernels


def _onnx_carries_the_metadata(workspace: Path) -> bool:
    import onnx

    model = onnx.load(str(workspace / "artifacts/compact-onnx-int8.onnx"))
    return ONNX_KEY in {entry.key for entry in model.metadata_props}


def _tf2onnx_converted_the_network(workspace: Path) -> bool:
    import onnx

    return onnx.load(str(workspace / "artifacts/compact-onnx-float32.onnx")).producer_name == "tf2onnx"


def _onnxruntime_quantized_and_answered(workspace: Path) -> bool:
    import onnx

    model = onnx.load(str(workspace / "artifacts/compact-onnx-int8.onnx"))
    rows = json.loads((workspace / "parity.json").read_text())["rows"]
    return model.producer_name.startswith("onnx.quantize") and any(row["runtime"] == "onnxruntime" for row in rows)


def _numpy_carries_the_arrays(workspace: Path) -> bool:
    with np.load(workspace / "validation.npz") as validation:
        return validation["images"].shape == (8400, 28, 28, 1)


def _pandas_wrote_the_history(workspace: Path) -> bool:
    import pandas as pd

    return list(pd.read_csv(workspace / "history.csv")["epoch"]) == [1, 2]


def _scikit_learn_split_the_data(workspace: Path) -> bool:
    from sklearn.model_selection import train_test_split

    from train.datasets import load_dataset

    digits = load_dataset("digits")
    _, validation = train_test_split(np.arange(42000), test_size=0.2, stratify=digits.labels, random_state=0)
    with np.load(workspace / "validation.npz") as kept:
        return np.array_equal(kept["images"], digits.images[np.sort(validation)])


EVIDENCE = {
    "tensorflow": _tensorflow_made_the_flatbuffer,
    "tensorflow-model-optimization": _model_optimization_made_the_qat_model,
    "tflite-runtime": _tflite_runtime_answered,
    "onnx": _onnx_carries_the_metadata,
    "tf2onnx": _tf2onnx_converted_the_network,
    "onnxruntime": _onnxruntime_quantized_and_answered,
    "numpy": _numpy_carries_the_arrays,
    "pandas": _pandas_wrote_the_history,
    "scikit-learn": _scikit_learn_split_the_data,
}


@pytest.mark.parametrize("package", PACKAGES)
def test_it_does_its_job_on_the_main_path(package: str, digits_run: Run) -> None:
    assert EVIDENCE[package](digits_run.workspace)
