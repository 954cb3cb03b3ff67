"""What is said of a Keras model before anything runs, and that it is what then happens."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.errors import InputError, ModelError
from edgeproof.console import Console
from edgeproof.stages.foreseeing import check_keras

NewConsole = Callable[..., Console]


def saved(folder: Path, *between: Any, name: str = "m.keras", last: str = "linear") -> Path:
    """A small classifier with some layers between its convolution and its head."""
    import tf_keras

    layers = tf_keras.layers
    head = [layers.GlobalAveragePooling2D(name="pool"), layers.Dense(3, activation=last, name="head")]
    model = tf_keras.Sequential([layers.Input((8, 8, 1)), layers.Conv2D(4, 3, name="conv"), *between, *head])
    model.save(folder / name)
    return folder / name


def told(path: Path, capfd: pytest.CaptureFixture[str], new_console: NewConsole) -> tuple[int, dict[str, Any]]:
    code = check_keras(path, new_console(as_json=True))
    return code, json.loads(capfd.readouterr().out)


def folding(fields: dict[str, Any]) -> dict[str, str]:
    return {layer["name"]: layer["folding"] for layer in fields["layers"]}


def quantizer(fields: dict[str, Any]) -> dict[str, str]:
    return {layer["name"]: layer["quantizer"] for layer in fields["layers"]}


def test_a_strangers_model_layer_by_layer(twin_folder: Path, capfd: pytest.CaptureFixture[str], new_console: NewConsole) -> None:
    code, fields = told(twin_folder / "stranger.h5", capfd, new_console)
    assert code == 0
    assert [(layer["kind"], layer["folding"], layer["quantizer"]) for layer in fields["layers"]] == [
        ("Rescaling", "folded forward into conv2d", ""),
        ("Conv2D", "takes in rescaling", "int8"),
        ("MaxPooling2D", "stays", "int8"),
        ("BatchNormalization", "folded forward into conv2d_1", ""),
        ("Conv2D", "takes in batch_normalization", "int8"),
        ("BatchNormalization", "folded forward into dense", ""),
        ("Dropout", "left out: works in training only", ""),
        ("Flatten", "stays", "int8"),
        ("Dense", "takes in batch_normalization_1; softmax taken off for training", "int8"),
    ]
    assert [layer["shape"] for layer in fields["layers"]][:3] == [[32, 32, 3], [16, 16, 8], [8, 8, 8]]
    assert [layer["parameters"] for layer in fields["layers"]][:4] == [0, 224, 0, 32]
    assert (fields["classes"], fields["output"], fields["preprocessing"]["scale"]) == (3, "probabilities", 1.0)
    assert set(fields["formats"].values()) == {True}


def test_the_table_and_the_sentences_for_people(twin_folder: Path, capfd: pytest.CaptureFixture[str], new_console: NewConsole) -> None:
    assert check_keras(twin_folder / "stranger.h5", new_console()) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0].split() == ["layer", "kind", "output", "parameters", "folding", "8-bit", "quantizer"]
    assert "Takes 32×32×3 pictures. Pixels reach stranger.h5 as raw: pixel × 1 + 0 (--preprocess" in lines[-3]
    assert "It ends in softmax" in lines[-2]
    assert "will export tflite-float32, tflite-int8, onnx-float32 and onnx-int8;" in lines[-1]


def test_a_refused_layer_is_named_with_its_remedy_and_the_formats_it_costs(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], new_console: NewConsole
) -> None:
    import tf_keras

    layers = tf_keras.layers
    code, fields = told(saved(tmp_path, layers.PReLU(name="soft"), layers.LayerNormalization(name="norm")), capfd, new_console)
    assert code == 1
    assert quantizer(fields)["soft"] == "use ReLU or LeakyReLU"
    assert quantizer(fields)["norm"] == "use BatchNormalization, which folds away"
    assert quantizer(fields)["conv"] == "int8"
    assert [name for name, can in fields["formats"].items() if not can] == ["tflite-int8", "tflite-mixed", "onnx-int8"]
    assert (
        "will export tflite-float32 and onnx-float32; tflite-int8 and onnx-int8 will fail: 2 layers cannot be quantized: soft" in fields["sentence"]
    )


def test_layers_that_folding_takes_apart_merges_or_drops(tmp_path: Path, capfd: pytest.CaptureFixture[str], new_console: NewConsole) -> None:
    import tf_keras

    layers = tf_keras.layers
    between = [
        layers.BatchNormalization(name="norm"),
        layers.ReLU(name="relu"),
        layers.SeparableConv2D(4, 3, activation="swish", name="separable"),
        layers.Conv2D(4, 1, activation="elu", name="odd"),
        layers.ReLU(6, name="relu6"),
        layers.Activation("linear", name="nothing"),
    ]
    code, fields = told(saved(tmp_path, *between), capfd, new_console)
    assert folding(fields) == {
        "conv": "takes in norm; takes in the ReLU after it",
        "norm": "folded back into conv",
        "relu": "merged into the layer before it",
        "separable": "split into a depthwise and a 1×1 convolution; its swish becomes a layer of its own",
        "odd": "its elu becomes a layer of its own",
        "relu6": "becomes Activation relu6",
        "nothing": "left out: changes nothing",
        "pool": "stays",
        "head": "stays",
    }
    assert code == 1
    assert {name: verdict for name, verdict in quantizer(fields).items() if verdict not in ("int8", "")} == {
        "odd": "activation elu: use relu, or a ReLU(6) or LeakyReLU layer"
    }


def test_models_inside_the_model_are_laid_open(tmp_path: Path, capfd: pytest.CaptureFixture[str], new_console: NewConsole) -> None:
    import tf_keras

    layers = tf_keras.layers
    inner = tf_keras.Sequential([layers.Input((6, 6, 4)), layers.Conv2D(4, 3, name="conv"), layers.BatchNormalization(name="norm")], name="inner")
    _, fields = told(saved(tmp_path, inner), capfd, new_console)
    found = folding(fields)
    assert [name for name in found if "conv" in name] == ["conv", "inner_conv"]
    assert found["norm"] == "folded back into inner_conv"
    assert found["inner_conv"] == "takes in norm"


def test_a_model_that_cannot_be_folded_gives_no_format(tmp_path: Path, capfd: pytest.CaptureFixture[str], new_console: NewConsole) -> None:
    import tf_keras

    layers = tf_keras.layers
    image = layers.Input((8, 8, 1))
    shared = layers.Conv2D(1, 3, padding="same", name="twice")
    model = tf_keras.Model(image, layers.Dense(3)(layers.Flatten()(shared(shared(image)))))
    model.save(tmp_path / "m.h5")
    code, fields = told(tmp_path / "m.h5", capfd, new_console)
    assert code == 1
    assert fields["sentence"].startswith("No format can be made: Layer 'twice' is used 2 times")
    assert set(fields["formats"].values()) == {False}
    assert [layer["name"] for layer in fields["layers"]][1] == "twice"


def test_files_that_are_no_classifier_are_refused_in_one_line(tmp_path: Path, new_console: NewConsole) -> None:
    (tmp_path / "notes.keras").write_text("mine")
    with pytest.raises(InputError, match="is not a Keras model"):
        check_keras(tmp_path / "notes.keras", new_console())
    with pytest.raises(ModelError, match="ends in sigmoid"):
        check_keras(saved(tmp_path, last="sigmoid"), new_console())
