"""What one would make by hand from the same baseline, without edgeproof: each converter the way its own tutorial uses it.

Peers are what edgeproof is measured against, so nothing here may spoil them: the baseline as it was trained, the same calibration images,
default settings, or those that the tool's manual recommends.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_runtime.errors import ModelError, RuntimeMissingError, first_line
from export.formats import QAT
from export.openvino_file import pack
from export.to_onnx import Images
from export.to_tflite import INPUT

BASELINE = "baseline"


@dataclass(frozen=True)
class PeerSources:
    """The Keras models of one workspace: as it was trained, batch normalization and softmax in place, and as tfmot fine-tuned it."""

    baseline: Any
    qat: Any | None  # None where the network cannot be quantized, or nobody has done it
    calibration: np.ndarray  # float32 [N, H, W, C], normalized


@dataclass(frozen=True)
class Peer:
    """One way to an int8 file without edgeproof. `make` raises whatever its converter raises."""

    name: str
    title: str
    how: str  # it is made, in one sentence
    make: Callable[[PeerSources], bytes]
    suffix: str
    ours: str  # the format of ours that it stands in for
    packages: Mapping[str, str]  # import name: distribution
    source: str = BASELINE  # or QAT

    @property
    def versions(self) -> dict[str, str]:
        """Of the packages that make it, as far as they are installed under these names."""
        found = {}
        for distribution in self.packages.values():
            with suppress(importlib.metadata.PackageNotFoundError):
                found[distribution] = importlib.metadata.version(distribution)
        return found

    def require_packages(self) -> None:
        """RuntimeMissingError names those that are not installed, and how to install them."""
        missing = [distribution for name, distribution in self.packages.items() if importlib.util.find_spec(name) is None]
        if missing:
            extra = "peers" if "openvino" in self.packages else "toolkit"
            raise RuntimeMissingError(f"{' and '.join(missing)} not installed: pip install 'edgeproof[{extra}]'.")


def make(peer: Peer, sources: PeerSources) -> bytes:
    """The peer's file; ModelError in one line where its converter fails. Call `require_packages` before."""
    if peer.source == QAT and sources.qat is None:
        raise ModelError("There is no QAT model of this network.")
    try:
        return peer.make(sources)
    except Exception as error:  # strangers' converters raise anything: none may end the comparison with the others
        raise ModelError(f"{peer.title} failed: {first_line(error)}.") from None


def _tflite_ptq(sources: PeerSources) -> bytes:
    """Full integer quantization as in TensorFlow's tutorial "Post-training integer quantization"."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(sources.baseline)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image[np.newaxis]] for image in sources.calibration)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def _tflite_dynamic(sources: PeerSources) -> bytes:
    """The first step of the same series, "Post-training dynamic range quantization"."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(sources.baseline)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return bytes(converter.convert())


def _tf2onnx(model: Any) -> bytes:
    """As tf2onnx's README converts a Keras model."""
    import tensorflow as tf
    import tf2onnx

    proto, _ = tf2onnx.convert.from_keras(model, input_signature=(tf.TensorSpec(model.inputs[0].shape, tf.float32, name=INPUT),))
    return bytes(proto.SerializeToString())


def _onnx_qat(sources: PeerSources) -> bytes:
    return _tf2onnx(sources.qat)


def _onnx_static(sources: PeerSources) -> bytes:
    return _quantize_static(sources)


def _onnx_static_u8s8(sources: PeerSources) -> bytes:
    from onnxruntime.quantization import QuantType

    return _quantize_static(sources, per_channel=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)


def _quantize_static(sources: PeerSources, **settings: Any) -> bytes:
    """Prepare, calibrate, QDQ, as ONNX Runtime's page "Quantize ONNX models" has it. settings: where they are not the defaults."""
    from onnxruntime.quantization import quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory(prefix="edgeproof-") as folder:
        source, prepared, target = (Path(folder) / name for name in ("float.onnx", "prepared.onnx", "int8.onnx"))
        source.write_bytes(_tf2onnx(sources.baseline))
        quant_pre_process(str(source), str(prepared))
        quantize_static(str(prepared), str(target), Images(sources.calibration, INPUT), **settings)
        return target.read_bytes()


def _openvino_nncf(sources: PeerSources) -> bytes:
    """Convert and quantize as NNCF's README does for OpenVINO; batch 1, which OpenVINO's CPU plug-in compiles best."""
    with _without_reports():
        import nncf
        import openvino

        model = openvino.convert_model(sources.baseline, input=[1, *sources.baseline.inputs[0].shape[1:]])
        return pack(nncf.quantize(model, nncf.Dataset(sources.calibration[:, np.newaxis])))


@contextmanager
def _without_reports() -> Iterator[None]:
    """OpenVINO and NNCF send usage reports, and leave files in the home folder for it, unless they believe to be in a CI job."""
    former = os.environ.get("CI")
    os.environ["CI"] = "true"
    try:
        yield
    finally:
        os.environ.pop("CI") if former is None else os.environ.update(CI=former)


_TFLITE = {"tensorflow": "tensorflow"}
_TF2ONNX = {"tensorflow": "tensorflow", "tf2onnx": "tf2onnx", "onnx": "onnx"}
_STATIC = {**_TF2ONNX, "onnxruntime": "onnxruntime"}
_NNCF = {"tensorflow": "tensorflow", "openvino": "openvino", "nncf": "nncf"}

PEERS: dict[str, Peer] = {
    peer.name: peer
    for peer in (
        Peer(
            "tflite-ptq",
            "TFLiteConverter, PTQ int8",
            "TFLiteConverter.from_keras_model of the baseline, Optimize.DEFAULT, the calibration images as representative dataset, int8 in and out.",
            _tflite_ptq,
            ".tflite",
            "tflite-int8",
            _TFLITE,
        ),
        Peer(
            "tflite-dynamic-range",
            "TFLiteConverter, dynamic",
            "TFLiteConverter.from_keras_model of the baseline, Optimize.DEFAULT and nothing else.",
            _tflite_dynamic,
            ".tflite",
            "tflite-dynamic",
            _TFLITE,
        ),
        Peer(
            "onnx-static",
            "quantize_static, defaults",
            "tf2onnx.convert.from_keras of the baseline, quant_pre_process, quantize_static with its defaults (QDQ, S8S8, per tensor).",
            _onnx_static,
            ".onnx",
            "onnx-int8",
            _STATIC,
        ),
        Peer(
            "onnx-static-u8s8",
            "quantize_static, U8S8",
            "The same with what its manual advises for x86-64: activations uint8, weights int8 per channel.",
            _onnx_static_u8s8,
            ".onnx",
            "onnx-int8",
            _STATIC,
        ),
        Peer(
            "onnx-qat",
            "tf2onnx of the QAT model",
            "tf2onnx.convert.from_keras of the quantization-aware model.",
            _onnx_qat,
            ".onnx",
            "onnx-int8",
            _TF2ONNX,
            source=QAT,
        ),
        Peer(
            "openvino-nncf",
            "OpenVINO with NNCF",
            "openvino.convert_model of the baseline at batch 1, nncf.quantize on the calibration images with its defaults.",
            _openvino_nncf,
            ".openvino",
            "onnx-int8",
            _NNCF,
        ),
    )
}
