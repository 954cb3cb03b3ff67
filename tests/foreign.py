"""Exports as strangers bring them, made out of the tiny ones: without metadata, channels first, with an operator that is too new."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import TINY_BIAS, make_tiny_images

ROOT = Path(__file__).parent.parent
NOT_IN_CHECK = (
    "tensorflow", "tf_keras", "keras", "tensorflow_model_optimization", "tf2onnx", "onnx", "pandas", "sklearn", "matplotlib", "seaborn", "h5py",
)  # fmt: skip
RUNTIMES = ("ai_edge_litert", "tflite_runtime", "onnxruntime")


def block(monkeypatch: pytest.MonkeyPatch, folder: Path, *modules: str) -> None:
    """In every Python started from now on, these modules cannot be imported."""
    blocked = folder / "blocked"
    blocked.mkdir()
    (blocked / "sitecustomize.py").write_text(f"import sys\nsys.modules.update(dict.fromkeys({modules!r}))\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(blocked), str(ROOT)]))


def tflite_without_metadata(path: Path) -> bytes:
    """The flatbuffer alone: the metadata is a zip entry behind it."""
    with zipfile.ZipFile(path) as archive:
        return path.read_bytes()[: archive.infolist()[0].header_offset]


def onnx_without_metadata(path: Path, *, channels_first: bool = False) -> bytes:
    """Also as other frameworks export: [N, C, H, W], with the batch left open."""
    import onnx
    from onnx import helper

    model = onnx.load(str(path))
    del model.metadata_props[:]
    if channels_first:
        inner = model.graph.input[0]
        _, height, width, channels = (dim.dim_value for dim in inner.type.tensor_type.shape.dim)
        outer = helper.make_tensor_value_info("pictures", onnx.TensorProto.FLOAT, ["batch", channels, height, width])
        model.graph.node.insert(0, helper.make_node("Transpose", ["pictures"], [inner.name], perm=(0, 2, 3, 1)))
        del model.graph.input[:]
        model.graph.input.append(outer)
    return bytes(model.SerializeToString())


def onnx_of_bytes(path: Path) -> bytes:
    """An ONNX file without metadata that takes uint8 and scales by itself."""
    import onnx
    from onnx import helper

    model = onnx.load_from_string(onnx_without_metadata(path))
    inner = model.graph.input[0]
    outer = helper.make_tensor_value_info("bytes", onnx.TensorProto.UINT8, [dim.dim_value for dim in inner.type.tensor_type.shape.dim])
    model.graph.initializer.append(helper.make_tensor("of_a_pixel", onnx.TensorProto.FLOAT, [], [1 / 255]))
    model.graph.node.insert(0, helper.make_node("Mul", ["floats", "of_a_pixel"], [inner.name]))
    model.graph.node.insert(0, helper.make_node("Cast", ["bytes"], ["floats"], to=onnx.TensorProto.FLOAT))
    del model.graph.input[:]
    model.graph.input.append(outer)
    return bytes(model.SerializeToString())


def bring_keras(folder: Path) -> None:
    """`folder` with net.h5, 400 pictures labelled as it answers, its own good.tflite, and one for each layer that was damaged before."""
    import tensorflow as tf
    import tf_keras

    tf_keras.utils.set_random_seed(1)
    layers = tf_keras.layers
    plain = [layers.Conv2D(4, 3, use_bias=False, name="first"), layers.BatchNormalization(name="norm"), layers.ReLU(name="act")]
    deep = [layers.Conv2D(8, 3, activation="relu", name="second"), layers.BatchNormalization(name="norm2"), layers.Flatten(name="flat")]
    model = tf_keras.Sequential([layers.Input((8, 8, 1)), *plain, *deep, layers.Dense(3, activation="softmax", name="head")], name="net")
    images = make_tiny_images(400, seed=6)
    answers = model(images / np.float32(255)).numpy()
    model.get_layer("head").bias.assign(-np.log(answers).mean(axis=0) + np.log(answers).mean())  # so that every class is answered
    save_held_out(folder / "held-out.npz", images, model(images / np.float32(255)).numpy().argmax(axis=1))
    model.save(folder / "net.h5")
    (folder / "good.tflite").write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    for name in ("first", "second", "head"):
        kernel, *bias = model.get_layer(name).get_weights()
        model.get_layer(name).set_weights([-kernel, *bias])
        (folder / f"{name}.tflite").write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
        model.get_layer(name).set_weights([kernel, *bias])


def with_operator_version(content: bytes, kind: str, version: int) -> bytes:
    """The same `.tflite`, asking for another version of an operator."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for code in model.operatorCodes:
        if code.builtinCode == getattr(schema.BuiltinOperator, kind):
            code.version = version
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def save_held_out(path: Path, images: np.ndarray, labels: np.ndarray) -> None:
    np.savez(path, images=images, labels=labels, class_names=np.array(["a", "b", "c"]))


def bring(folder: Path, tiny: dict[str, Path]) -> Path:
    """`folder` with held-out.npz (600 pictures, nine of ten labelled as the float network answers) and strangers' files, none with metadata."""
    from edge_runtime.classifier import Classifier

    images = make_tiny_images(600, seed=5)
    labels = Classifier.load(tiny["tflite-float32"]).predict(images).labels
    labels[::10] = np.arange(60) % 3
    save_held_out(folder / "held-out.npz", images, labels)
    (folder / "float.tflite").write_bytes(tflite_without_metadata(tiny["tflite-float32"]))
    (folder / "small.tflite").write_bytes(tflite_without_metadata(tiny["tflite-int8"]))
    (folder / "first.onnx").write_bytes(onnx_without_metadata(tiny["onnx-float32"], channels_first=True))
    damaged = tflite_without_metadata(tiny["tflite-float32"]).replace(np.float32(TINY_BIAS).tobytes(), np.float32((-9, 9, 9)).tobytes())
    (folder / "damaged.tflite").write_bytes(damaged)
    return folder
