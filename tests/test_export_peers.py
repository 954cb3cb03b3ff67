"""Peers are real: each converter makes a file of the baseline that its runtime runs, and that answers like the baseline."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.matrix import readers
from edge_runtime.errors import InputError, ModelError, RuntimeMissingError
from edge_runtime.preprocess import Preprocessing
from edge_runtime.worker import run_in_subprocess
from export.audit import audit
from export.peers import PEERS, PeerSources, make
from tests.conftest import make_tiny_images

CONTRACT = Preprocessing(8, 8, 1)
OPENVINO = pytest.mark.skipif(importlib.util.find_spec("nncf") is None, reason="needs the extra [peers]: openvino and nncf")
EACH = [pytest.param(name, marks=OPENVINO) if name == "openvino-nncf" else name for name in PEERS]


@pytest.fixture(scope="module")
def sources() -> PeerSources:
    """A baseline as nobody folded it, with batch normalization after pooling and a softmax, and the same as tfmot prepares it."""
    import tf_keras

    from train import fold, qat

    tf_keras.utils.set_random_seed(0)
    layers = tf_keras.layers
    baseline = tf_keras.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    images = make_tiny_images(64, seed=0)
    features = tf_keras.Model(baseline.inputs, baseline.layers[-2].output).predict(CONTRACT.normalize(images), verbose=0)
    kernel, _ = baseline.layers[-1].get_weights()
    baseline.layers[-1].set_weights([8 * kernel, -8 * (features @ kernel).mean(axis=0)])  # no class is anybody's favourite
    folded = fold.fold(baseline).model
    return PeerSources(baseline, qat.quantize_aware(folded, images, CONTRACT), CONTRACT.normalize(images))


def _answers(content: bytes, peer: str, images: np.ndarray, folder: Path) -> dict[str, np.ndarray]:
    """Labels by runtime."""
    path = folder / f"peer{PEERS[peer].suffix}"
    path.write_bytes(content)
    np.save(folder / "images.npy", images)
    assume = {"preprocessing": CONTRACT.to_dict(), "class_names": ["a", "b", "c"], "output": audit(content).answers}
    job: dict[str, Any] = {"job": "predict", "model": str(path), "images": str(folder / "images.npy"), "assume": assume}
    labels = {}
    for runtime in readers(path.suffix):
        run_in_subprocess({**job, "outputs": str(folder / "outputs.npy")}, runtime)
        labels[runtime] = np.load(folder / "outputs.npy").argmax(axis=1)
    return labels


@pytest.mark.parametrize("name", EACH)
def test_it_is_made_and_answers_like_the_baseline(name: str, sources: PeerSources, tiny_images: np.ndarray, tmp_path: Path) -> None:
    content = make(PEERS[name], sources)
    labels = _answers(content, name, tiny_images, tmp_path)
    expected = sources.baseline.predict(CONTRACT.normalize(tiny_images), verbose=0).argmax(axis=1)
    assert len(set(expected.tolist())) == 3, "images on which it has all three opinions"
    assert labels
    for runtime, answered in labels.items():
        assert (answered == expected).mean() > 0.8, runtime  # with pixels of another range it is a third


@pytest.mark.parametrize(("name", "share"), [("tflite-ptq", 1.0), ("tflite-dynamic-range", 0.0), ("onnx-static", 1.0), ("onnx-static-u8s8", 1.0)])
def test_its_audit_says_how_much_of_it_is_int8(name: str, share: float, sources: PeerSources) -> None:
    found = audit(make(PEERS[name], sources))
    assert found.int8_macs_share == share
    assert found.answers == "probabilities", "nobody strips the softmax of a plain conversion"


@OPENVINO
def test_an_openvino_file_is_audited_as_it_is_compiled(sources: PeerSources) -> None:
    found = audit(make(PEERS["openvino-nncf"], sources))
    assert found.macs == 6 * 6 * 4 * 9 + 36 * 3
    assert found.int8_macs_share == 1
    assert found.answers == "probabilities"
    with pytest.raises(InputError, match="OpenVINO cannot read this file"):
        audit(b"PK\x03\x04 and nothing else")


@pytest.mark.skipif(importlib.util.find_spec("openvino") is not None, reason="OpenVINO is installed here: nothing is missing")
def test_a_peer_that_is_not_installed_says_what_to_install() -> None:
    with pytest.raises(RuntimeMissingError, match=r"openvino and nncf not installed: pip install 'edgeproof\[peers\]'"):
        PEERS["openvino-nncf"].require_packages()


def test_what_its_converter_raises_becomes_one_line(sources: PeerSources) -> None:
    wrong = dataclasses.replace(sources, calibration=sources.calibration[:, :4])
    with pytest.raises(ModelError, match=r"TFLiteConverter, PTQ int8 failed: .+\.$") as raised:
        make(PEERS["tflite-ptq"], wrong)
    assert "\n" not in str(raised.value)


def test_without_a_qat_model_its_conversion_is_left_out(sources: PeerSources) -> None:
    with pytest.raises(ModelError, match="no QAT model"):
        make(PEERS["onnx-qat"], dataclasses.replace(sources, qat=None))
