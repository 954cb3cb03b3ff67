"""Model files are read and written whole; a file that is something else, or could run code, is refused before Keras opens it."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tf_keras
from tf_keras import layers

from edge_runtime.errors import InputError, ModelError
from train.head import check_head, ends_in_softmax
from train.model_files import check_model_file, load_model, model_bytes, model_shape

IMAGES = np.random.default_rng(0).random((4, 8, 8, 1), np.float32)
KERAS_3 = """
import sys, keras
model = keras.Sequential([keras.layers.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
for path in sys.argv[1:]:
    model.save(path)
"""


@cache
def classifier() -> Any:
    body = (layers.Conv2D(4, 3, name="see"), layers.BatchNormalization(), layers.Flatten(), layers.Dense(3, activation="softmax"))
    return tf_keras.Sequential([layers.Input((8, 8, 1)), *body])


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def rezipped(folder: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """The classifier's .keras with its members changed; None leaves one out."""
    source = write(folder / "source.keras", model_bytes(classifier(), ".keras"))
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(folder / "changed.keras", "w") as changed:
        for name in archive.namelist():
            content = change(name, archive.read(name))
            if content is not None:
                changed.writestr(name, content)
    return folder / "changed.keras"


def fault(path: Path, action: Callable[[Path], Any] = check_model_file) -> str:
    """The one line that refuses `path` and names it: by default from the inspection alone, which has no Keras."""
    with pytest.raises(InputError) as caught:
        action(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_model_comes_back_as_it_was(tmp_path: Path, suffix: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = load_model(write(tmp_path / f"model{suffix}", model_bytes(classifier(), suffix)))
    assert np.array_equal(loaded(IMAGES).numpy(), classifier()(IMAGES).numpy())
    assert [layer.name for layer in loaded.layers] == [layer.name for layer in classifier().layers]
    assert model_shape(loaded) == ((8, 8, 1), 3)
    check_head(loaded)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_written_model_leaves_its_optimizer_behind(tmp_path: Path, suffix: str) -> None:
    trained = tf_keras.models.clone_model(classifier())
    small = len(model_bytes(trained, suffix))
    trained.compile("adam", "sparse_categorical_crossentropy")
    trained.fit(IMAGES, np.zeros(4), verbose=0)
    assert len(model_bytes(trained, suffix)) < small + 100


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("m.keras", b"hello" * 100, "is not a Keras model"),
        ("m.h5", b"", "is not a Keras model"),
        ("m.keras", b"PK\x03\x04" + bytes(range(256)), "is a zip file but not a Keras model"),
        ("m.h5", b"\x89HDF\r\n\x1a\n" + bytes(range(256)), "is a damaged HDF5 file"),
    ],
)
def test_other_bytes_are_no_model(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    assert says in fault(write(tmp_path / name, content))


def test_a_path_that_is_no_file_is_refused(tmp_path: Path) -> None:
    assert "No such file" in fault(tmp_path / "nothing.keras")
    assert "is a folder, and a Keras model is one file: load a SavedModel with tf_keras" in fault(tmp_path)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_half_a_model_is_refused(tmp_path: Path, suffix: str) -> None:
    content = model_bytes(classifier(), suffix)
    fault(write(tmp_path / f"half{suffix}", content[: len(content) // 2]))


@pytest.mark.parametrize(
    ("member", "content"),
    [("metadata.json", None), ("metadata.json", b"[]"), ("config.json", b"hello"), ("config.json", b"[" * 100_000), ("config.json", None)],
)
def test_a_zip_that_is_no_model_is_refused(tmp_path: Path, member: str, content: bytes | None) -> None:
    assert "not a Keras model" in fault(rezipped(tmp_path, lambda name, kept: content if name == member else kept))


@pytest.mark.parametrize(
    ("member", "content"), [("model.weights.h5", None), ("model.weights.h5", b"damaged"), ("config.json", b"null"), ("config.json", b"[]")]
)
def test_a_model_that_keras_cannot_build_is_refused_in_one_line(tmp_path: Path, member: str, content: bytes | None) -> None:
    assert "Cannot load" in fault(rezipped(tmp_path, lambda name, kept: content if name == member else kept), load_model)


def test_an_hdf5_file_named_keras_is_refused(tmp_path: Path) -> None:
    assert "is an HDF5 file named .keras" in fault(write(tmp_path / "m.keras", model_bytes(classifier(), ".h5")))


@pytest.mark.parametrize("name", ["m.h5", "m.weights.h5"])
def test_weights_alone_are_no_model(tmp_path: Path, name: str) -> None:
    classifier().save_weights(tmp_path / name)
    assert "weights without a network" in fault(tmp_path / name)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_lambda_layer_is_refused_before_its_code_runs(tmp_path: Path, suffix: str) -> None:
    trace = str(tmp_path / "trace")
    model = tf_keras.Sequential([layers.Input((8, 8, 1)), layers.Lambda(lambda x: (open(trace, "w").close(), x)[1]), layers.Flatten()])
    path = write(tmp_path / f"m{suffix}", model_bytes(model, suffix))
    Path(trace).unlink()
    assert "contains a Lambda layer, which runs code" in fault(path, load_model)
    assert not Path(trace).exists()
    tf_keras.models.load_model(path, compile=False, safe_mode=suffix == ".h5")
    assert Path(trace).exists(), "what would have happened; in .h5 even with safe_mode"


def test_a_foreign_module_is_refused_before_it_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "foreign_layers.py", b"class Conv2D: pass")
    monkeypatch.syspath_prepend(tmp_path)
    path = rezipped(tmp_path, lambda name, kept: kept.replace(b'"keras.layers"', b'"foreign_layers.deep"') if name == "config.json" else kept)
    assert "asks for Python module 'foreign_layers.deep'" in fault(path, load_model)
    assert "foreign_layers" not in sys.modules


def test_code_is_found_however_deep_it_lies_in_an_h5(tmp_path: Path) -> None:
    path = write(tmp_path / "m.h5", model_bytes(classifier(), ".h5"))
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"].append([{"a": {"class_name": "TFSMLayer", "config": {}}}])
        file.attrs["model_config"] = json.dumps(config)
    assert "contains a TFSMLayer layer" in fault(path)


def test_keras_3_models_are_refused_with_the_way_out(tmp_path: Path) -> None:
    paths = [tmp_path / "three.keras", tmp_path / "three.h5"]
    subprocess.run([sys.executable, "-c", KERAS_3, *paths], check=True, capture_output=True)
    for path in paths:
        assert "is a Keras 3 model" in fault(path)
        assert ".weights.h5" in fault(path)


def headed(*head: Any, shape: tuple[int | None, ...] = (8, 8, 1)) -> Any:
    image = layers.Input(shape)
    pooled = layers.GlobalAveragePooling2D()(image)
    return tf_keras.Model(image, [layer(pooled) for layer in head] if len(head) > 1 else head[0](pooled))


def test_only_images_of_one_size_into_two_or_more_classes_are_a_classifier() -> None:
    assert model_shape(headed(layers.Dense(2), shape=(5, 7, 3))) == ((5, 7, 3), 2)
    refused = {
        "one output, got 1 and 2": headed(layers.Dense(3), layers.Dense(2)),
        "of fixed size": headed(layers.Dense(3), shape=(None, None, 1)),
        "1 or 3] of": headed(layers.Dense(3), shape=(8, 8, 4)),
        "2 or more classes": headed(layers.Dense(1)),
        "got 0 and 0": tf_keras.Sequential([layers.Dense(3)]),
    }
    for message, model in refused.items():
        with pytest.raises(ModelError) as caught:
            model_shape(model)
        assert message in str(caught.value)


def test_a_head_of_independent_answers_is_refused_by_name() -> None:
    check_head(headed(layers.Dense(3)))
    with pytest.raises(ModelError, match="'each' ends in sigmoid"):
        check_head(headed(layers.Dense(3, activation="sigmoid", name="each")))


def test_a_head_inside_a_model_inside_the_model_is_found() -> None:
    def nested(*head: Any) -> Any:
        backbone = tf_keras.Sequential([layers.Input((8, 8, 1)), layers.Conv2D(4, 3)])
        inner = tf_keras.Sequential([layers.Flatten(), tf_keras.Sequential(head)])
        return tf_keras.Sequential([backbone, inner])

    def branched(activation: str | None) -> Any:
        """The answer is not the layer that was connected last."""
        image = layers.Input((8, 8, 1))
        first, second = layers.Flatten(name="z")(image), layers.Flatten(name="a")(image)
        return tf_keras.Model(image, layers.Dense(3, activation=activation)(layers.Add()([first, second])))

    assert ends_in_softmax(nested(layers.Dense(3, activation="softmax")))
    assert ends_in_softmax(nested(layers.Dense(3), layers.Softmax()))
    assert ends_in_softmax(branched("softmax"))
    assert not ends_in_softmax(nested(layers.Dense(3)))
    assert not ends_in_softmax(branched(None))
    with pytest.raises(ModelError, match="'each' ends in sigmoid"):
        check_head(nested(layers.Dense(3, activation="sigmoid", name="each")))


def test_layers_that_pass_an_answer_on_are_not_the_head() -> None:
    def behind(activation: str | None, *more: Any) -> Any:
        return tf_keras.Sequential([layers.Input((8, 8, 1)), layers.Flatten(), layers.Dense(3, activation, name="each"), *more])

    def passing() -> list[Any]:
        return [layers.Dropout(0.5), layers.Reshape((1, 3)), layers.Flatten(), layers.Activation("linear")]

    assert ends_in_softmax(behind("softmax", *passing()))
    assert not ends_in_softmax(behind(None, *passing()))
    assert not ends_in_softmax(tf_keras.Sequential([layers.Input((8, 8, 1)), layers.Flatten()])), "as far back as the image"
    places = tf_keras.Sequential([layers.Input((2, 1, 1)), layers.Conv2D(3, 1, activation="softmax"), layers.Flatten()])
    assert not ends_in_softmax(places), "six numbers, of which each three sum to 1"
    with pytest.raises(ModelError, match="'each' ends in sigmoid"):
        check_head(behind("sigmoid", layers.Flatten()))
