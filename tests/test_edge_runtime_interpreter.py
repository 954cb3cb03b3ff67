from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_runtime.classifier import Classifier
from edge_runtime.errors import EdgeproofError, InputError, RuntimeProblem, UnsupportedModelError
from edge_runtime.interpreter import RUNTIMES, open_model
from edge_runtime.worker import run_in_subprocess

KERNEL_STEPS = 8  # kernel families were seen to differ by up to 5 steps of an int8 output

TFLITE_RUNTIMES = ("ai-edge-litert", "tflite-runtime")
PAIRS = [
    (format, runtime.name)
    for format in ("tflite-float32", "tflite-int8", "onnx-float32", "onnx-int8")
    for runtime in RUNTIMES.values()
    if runtime.suffix == f".{format.split('-')[0]}"
]


def predict(model: Path, images: np.ndarray, runtime: str, folder: Path, **options: Any) -> tuple[dict[str, Any], np.ndarray]:
    """The worker's answer and the raw outputs [n, classes]."""
    np.save(folder / "images.npy", images)
    job = {"job": "predict", "model": str(model), "images": str(folder / "images.npy"), "outputs": str(folder / "outputs.npy"), **options}
    return run_in_subprocess(job, runtime), np.load(folder / "outputs.npy")


def refusal(model: Path, runtime: str, folder: Path, **options: Any) -> EdgeproofError:
    """The error, checked to be a single sentence rather than a traceback."""
    with pytest.raises(EdgeproofError) as caught:
        predict(model, np.zeros((1, 8, 8, 1), np.uint8), runtime, folder, **options)
    assert "\n" not in str(caught.value)
    assert "Traceback" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(("format", "runtime"), PAIRS)
def test_every_artifact_answers_on_every_runtime_that_claims_it(
    tiny_artifacts: dict[str, Path], tiny_images: np.ndarray, tmp_path: Path, format: str, runtime: str
) -> None:
    answer, outputs = predict(tiny_artifacts[format], tiny_images, runtime, tmp_path)
    assert outputs.shape == (len(tiny_images), 3)
    assert outputs.dtype == (np.int8 if format == "tflite-int8" else np.float32)
    assert (answer["runtime"], answer["kernels"], answer["threads"], answer["output"]) == (runtime, "default", 1, "logits")
    assert answer["runtime_version"] == RUNTIMES[runtime].version
    assert len(np.unique(outputs.argmax(axis=1))) == 3, "answers depend on the picture"


@pytest.mark.parametrize("format", ["tflite-float32", "tflite-int8"])
def test_both_tflite_runtimes_name_the_same_classes_wherever_the_answer_is_clear(
    tiny_artifacts: dict[str, Path], tiny_images: np.ndarray, tmp_path: Path, format: str
) -> None:
    one, other = (predict(tiny_artifacts[format], tiny_images, runtime, tmp_path)[1] for runtime in TFLITE_RUNTIMES)
    ranked = np.sort(one.astype(np.float64), axis=1)
    clear = ranked[:, -1] - ranked[:, -2] > (KERNEL_STEPS if format == "tflite-int8" else 1e-4)
    assert clear.mean() > 0.8
    np.testing.assert_array_equal(one.argmax(axis=1)[clear], other.argmax(axis=1)[clear])


@pytest.mark.parametrize("runtime", TFLITE_RUNTIMES)
@pytest.mark.parametrize("kernels", ["builtin", "reference"])
def test_other_kernels_run_without_delegate_and_differ_by_rounding_only(
    tiny_artifacts: dict[str, Path], tiny_images: np.ndarray, tmp_path: Path, runtime: str, kernels: str
) -> None:
    _, usual = predict(tiny_artifacts["tflite-int8"], tiny_images, runtime, tmp_path)
    answer, outputs = predict(tiny_artifacts["tflite-int8"], tiny_images, runtime, tmp_path, kernels=kernels)
    assert (answer["kernels"], answer["delegate"]) == (kernels, "none")
    assert np.abs(outputs.astype(int) - usual.astype(int)).max() <= KERNEL_STEPS


@pytest.mark.parametrize(("format", "runtime"), [("tflite-int8", "ai-edge-litert"), ("tflite-int8", "tflite-runtime"), ("onnx-int8", "onnxruntime")])
def test_two_threads_give_the_answers_of_one(
    tiny_artifacts: dict[str, Path], tiny_images: np.ndarray, tmp_path: Path, format: str, runtime: str
) -> None:
    _, one = predict(tiny_artifacts[format], tiny_images, runtime, tmp_path)
    answer, two = predict(tiny_artifacts[format], tiny_images, runtime, tmp_path, threads=2)
    assert answer["threads"] == 2
    np.testing.assert_allclose(two, one, atol=KERNEL_STEPS if one.dtype == np.int8 else 1e-5)


def test_auto_takes_the_maintained_runtime_and_tells_the_kind_of_file_by_its_bytes(tiny_artifacts: dict[str, Path], tmp_path: Path) -> None:
    disguised = tmp_path / "model.onnx"
    disguised.write_bytes(tiny_artifacts["tflite-float32"].read_bytes())
    assert predict(disguised, np.zeros((1, 8, 8), np.uint8), "auto", tmp_path)[0]["runtime"] == "ai-edge-litert"
    assert open_model(tiny_artifacts["onnx-float32"].read_bytes()).runtime == "onnxruntime"


@pytest.mark.parametrize(("format", "runtime"), [("tflite-int8", "onnxruntime"), ("onnx-int8", "ai-edge-litert"), ("onnx-int8", "tflite-runtime")])
def test_a_runtime_for_other_files_refuses(tiny_artifacts: dict[str, Path], tmp_path: Path, format: str, runtime: str) -> None:
    error = refusal(tiny_artifacts[format], runtime, tmp_path)
    assert isinstance(error, UnsupportedModelError)
    assert runtime in str(error)


def test_an_unknown_runtime_names_the_nearest(tiny_artifacts: dict[str, Path], tmp_path: Path) -> None:
    error = refusal(tiny_artifacts["tflite-int8"], "tflite_runtme", tmp_path)
    assert isinstance(error, InputError)
    assert "Did you mean 'tflite-runtime'?" in str(error)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("content", [b"", b"\x08", b"\x08\x08", np.random.default_rng(0).bytes(5000)], ids=["empty", "one", "two", "random"])
def test_bytes_that_are_no_model_are_an_input_error(tmp_path: Path, runtime: str, content: bytes) -> None:
    (tmp_path / "model.bin").write_bytes(content)
    error = refusal(tmp_path / "model.bin", runtime, tmp_path)
    assert isinstance(error, InputError)
    assert "model.bin is neither" in str(error)


def test_a_missing_model_is_an_input_error(tmp_path: Path) -> None:
    assert "No such file" in str(refusal(tmp_path / "none.tflite", "ai-edge-litert", tmp_path))


@pytest.mark.parametrize(("format", "runtime"), PAIRS)
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_half_a_model_is_one_sentence(tiny_artifacts: dict[str, Path], tmp_path: Path, format: str, runtime: str, share: float) -> None:
    whole = tiny_artifacts[format].read_bytes()
    (tmp_path / "half").write_bytes(whole[: int(share * len(whole))])
    error = refusal(tmp_path / "half", runtime, tmp_path)
    assert isinstance(error, RuntimeProblem)
    # A .tflite before an interpreter sees it: tflite-runtime would crash, or take a minute first.
    assert ("half is cut short or damaged" if format.startswith("tflite") else runtime) in str(error)


@pytest.mark.parametrize(("format", "runtime"), [("tflite-int8", "tflite-runtime"), ("onnx-int8", "onnxruntime")])
@pytest.mark.parametrize("options", [{"kernels": "fast"}, {"threads": 0}, {"threads": -3}])
def test_kernels_and_threads_are_validated(
    tiny_artifacts: dict[str, Path], tmp_path: Path, format: str, runtime: str, options: dict[str, Any]
) -> None:
    error = refusal(tiny_artifacts[format], runtime, tmp_path, **options)
    assert isinstance(error, InputError)
    assert str(next(iter(options.values()))) in str(error)


def test_onnxruntime_has_no_reference_kernels(tiny_artifacts: dict[str, Path]) -> None:
    with pytest.raises(InputError, match="no 'reference' kernels. Known: default"):
        open_model(tiny_artifacts["onnx-int8"], kernels="reference")


def test_a_strangers_model_gets_numbered_classes_and_pixels_from_0_to_1(tiny_artifacts: dict[str, Path], tiny_images: np.ndarray) -> None:
    import onnx

    proto = onnx.load(tiny_artifacts["onnx-float32"])
    del proto.metadata_props[:]
    stranger, ours = Classifier.load(proto.SerializeToString()), Classifier.load(tiny_artifacts["onnx-float32"])
    assert (stranger.metadata.class_names, ours.metadata.class_names) == (("0", "1", "2"), ("a", "b", "c"))
    np.testing.assert_array_equal(stranger.predict(tiny_images).outputs, ours.predict(tiny_images).outputs)


@pytest.mark.parametrize(
    ("shape", "kind", "outputs", "message"),
    [((1, 5), "FLOAT", 1, "image classifier"), ((1, 8, 8, 1), "DOUBLE", 1, "double"), ((1, 8, 8, 1), "FLOAT", 2, "one output, got 1 and 2")],
)
def test_what_is_no_image_classifier_is_said_to_be_none(shape: tuple[int, ...], kind: str, outputs: int, message: str) -> None:
    from onnx import TensorProto, helper

    element = getattr(TensorProto, kind)
    names = [f"y{index}" for index in range(outputs)]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], [name]) for name in names],
        "graph",
        [helper.make_tensor_value_info("x", element, shape)],
        [helper.make_tensor_value_info(name, element, shape) for name in names],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(EdgeproofError, match=message):
        Classifier.load(model.SerializeToString())


def integer_model(kind: str, shape: tuple[int, ...] = (1, 2, 2, 1)) -> bytes:
    """An ONNX model of integer pixels, cast inside; without a word about quantization its answers are the first pixels."""
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Cast", ["x"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["real"], ["y"]),
    ]
    ends = [
        helper.make_tensor_value_info("x", getattr(TensorProto, kind), shape),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, int(np.prod(shape)))),
    ]
    graph = helper.make_graph(nodes, "graph", ends[:1], ends[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def test_uint8_pixels_without_quantization_go_in_as_they_are() -> None:
    images = np.array([[[0, 1], [254, 255]]], np.uint8)
    assert Classifier.load(integer_model("UINT8")).predict(images).outputs.tolist() == [[0.0, 1.0, 254.0, 255.0]]


def test_int8_without_quantization_is_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="takes int8 and does not say"):
        Classifier.load(integer_model("INT8"))


@pytest.mark.parametrize("shape", [(2, 8, 8, 3), (1, 4, 16, 16), (1, 8, 8, 4), (1, 8, 8)])
def test_what_is_no_single_picture_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="NHWC") as refusal:
        Classifier.load(integer_model("FLOAT", shape))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(("module", "runtime"), [("ai_edge_litert", "ai-edge-litert"), ("onnxruntime", "onnxruntime")])
@pytest.mark.parametrize("asked", ["by name", "auto"])
def test_a_runtime_that_is_not_installed_says_how_to_install_it(tiny_artifacts: dict[str, Path], module: str, runtime: str, asked: str) -> None:
    model = tiny_artifacts["onnx-int8" if runtime == "onnxruntime" else "tflite-int8"]
    hidden = [module] if asked == "by name" else [module, "tflite_runtime"]
    program = f"import sys; sys.modules.update(dict.fromkeys({hidden})); from edge_runtime.interpreter import open_model; "
    program += f"open_model({str(model)!r}, runtime={runtime if asked == 'by name' else 'auto'!r})"
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1].startswith("edge_runtime.errors.RuntimeMissingError")
    assert f"pip install 'edgeproof[{RUNTIMES[runtime].extra}]'" in done.stderr


@pytest.mark.parametrize(
    ("minor", "said"), [(11, "not installed: pip install 'edgeproof[tflite]'"), (13, "no wheels for Python 3.13: use ai-edge-litert")]
)
def test_a_runtime_without_wheels_for_this_python_is_not_to_be_installed(tiny_artifacts: dict[str, Path], minor: int, said: str) -> None:
    program = "import sys; sys.modules['tflite_runtime'] = None; from edge_runtime.interpreter import open_model; "
    program += f"sys.version_info = (3, {minor}); open_model({str(tiny_artifacts['tflite-int8'])!r}, runtime='tflite-runtime')"
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True)
    assert said in done.stderr.splitlines()[-1]
