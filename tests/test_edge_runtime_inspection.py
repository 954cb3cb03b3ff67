from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_runtime import inspection
from edge_runtime.arrays import read_npz
from edge_runtime.classifier import Classifier
from edge_runtime.errors import UnsupportedModelError
from edge_runtime.interpreter import open_model
from edge_runtime.tensors import Quantization
from edge_runtime.worker import run_in_subprocess
from export.tapping import tap_onnx

TFLITE = [(runtime, kernels) for runtime in ("ai-edge-litert", "tflite-runtime") for kernels in ("default", "builtin", "reference")]


def look_inside(model: Path, images: np.ndarray, folder: Path, runtime: str, kernels: str = "default") -> tuple[dict[str, Any], list[np.ndarray]]:
    np.save(folder / "images.npy", images)
    files = {"model": str(model), "images": str(folder / "images.npy"), "outputs": str(folder / "out.npz")}
    message = run_in_subprocess({"job": "tensors", **files, "kernels": kernels}, runtime)
    arrays = read_npz(folder / "out.npz", "never")
    return message, [arrays[str(index)] for index in range(len(message["tensors"]))]


def predict(model: Path, images: np.ndarray, folder: Path, runtime: str, kernels: str = "default") -> np.ndarray:
    np.save(folder / "images.npy", images)
    files = {"model": str(model), "images": str(folder / "images.npy"), "outputs": str(folder / "raw.npy")}
    run_in_subprocess({"job": "predict", **files, "kernels": kernels}, runtime)
    return np.load(folder / "raw.npy")


@pytest.mark.parametrize(("runtime", "kernels"), TFLITE)
def test_every_operator_of_an_int8_model_is_recorded_raw(
    runtime: str, kernels: str, tiny_artifacts: dict[str, Path], tiny_images: np.ndarray, tmp_path: Path
) -> None:
    model, images = tiny_artifacts["tflite-int8"], tiny_images[:5]
    message, arrays = look_inside(model, images, tmp_path, runtime, kernels)
    names = [tensor["name"] for tensor in message["tensors"]]
    assert (message["images"], message["kernels"], message["output"]) == (5, kernels, "logits")
    assert len(names) == 4, "what went in, the convolution, the mean, the answer; each once, delegate or not"
    assert names[0] == "input"
    assert "quant_conv2d/" in names[1]
    assert {array.dtype for array in arrays} == {np.dtype(np.int8)}
    assert [array.shape for array in arrays] == [(5, 1, 8, 8, 1), (5, 1, 6, 6, 4), (5, 1, 4), (5, 1, 3)]
    np.testing.assert_array_equal(arrays[0][:, 0].view(np.uint8) ^ 0x80, images)
    np.testing.assert_array_equal(arrays[-1][:, 0], predict(model, images, tmp_path, runtime, kernels))
    meanings = [Quantization(**tensor["quantization"]) for tensor in message["tensors"]]
    assert (meanings[0].zero_point, meanings[0].scale) == (-128, pytest.approx(1 / 255))
    mean = np.minimum(meanings[1].dequantize(arrays[1]).mean(axis=(2, 3)), 255 * meanings[2].scale)  # the range ends there
    assert np.abs(meanings[2].dequantize(arrays[2]) - mean).max() <= meanings[2].scale, "each means what its own scale says"


@pytest.mark.parametrize("runtime", ["ai-edge-litert", "tflite-runtime"])
def test_a_delegate_leaves_nothing_stale(runtime: str, tiny_artifacts: dict[str, Path], tiny_images: np.ndarray, tmp_path: Path) -> None:
    model, images = tiny_artifacts["tflite-float32"], tiny_images[:6]
    _, fast = look_inside(model, images, tmp_path, runtime)
    _, plain = look_inside(model, images, tmp_path, runtime, "builtin")
    assert np.ptp(plain[1], axis=0).max() > 0.1, "the images differ inside"
    for one, other in zip(fast, plain, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_weights_that_operators_unpack_are_no_layers(tiny_artifacts: dict[str, Path], tiny_images: np.ndarray, tmp_path: Path) -> None:
    message, arrays = look_inside(tiny_artifacts["tflite-float16"], tiny_images[:6], tmp_path, "ai-edge-litert", "builtin")
    assert len(arrays) == 4, [tensor["name"] for tensor in message["tensors"]]
    assert all(np.ptp(array, axis=0).max() > 0 for array in arrays), "each depends on the image"


def test_a_large_network_is_looked_into_on_fewer_images(
    tiny_artifacts: dict[str, Path], tiny_images: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = 64 + 144 + 4 + 3  # bytes of all tensors for one image
    monkeypatch.setattr(inspection, "_MOST_BYTES", 3.5 * one)
    classifier = Classifier(open_model(tiny_artifacts["tflite-int8"], kernels="builtin", keep_tensors=True))
    facts = inspection.record_tensors(classifier, tiny_images, tmp_path / "out.npz")
    assert facts["images"] == len(read_npz(tmp_path / "out.npz", "never")["0"]) == 3


@pytest.mark.parametrize("format", ["onnx-float32", "onnx-int8"])
def test_a_tapped_onnx_answers_like_the_original(format: str, tiny_artifacts: dict[str, Path], tiny_images: np.ndarray, tmp_path: Path) -> None:
    content, meanings = tap_onnx(tiny_artifacts[format].read_bytes())
    tapped = tmp_path / "tapped.onnx"
    tapped.write_bytes(content)
    with pytest.raises(UnsupportedModelError, match="one output"):
        open_model(content)
    message, arrays = look_inside(tapped, tiny_images[:5], tmp_path, "onnxruntime")
    names = [tensor["name"] for tensor in message["tensors"]]
    assert names[:2] == ["input", "output"]
    np.testing.assert_allclose(arrays[1][:, 0], predict(tiny_artifacts[format], tiny_images[:5], tmp_path, "onnxruntime"), atol=1e-5)
    (layer,) = [index for index, name in enumerate(names) if "conv2d/" in name and arrays[index][0].size == 144 and "Relu" in name]
    assert (names[layer] in meanings) == (format == "onnx-int8")
    assert arrays[layer].dtype == (np.uint8 if format == "onnx-int8" else np.float32)
    assert arrays[layer].max() > 0
