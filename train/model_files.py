"""Reading and writing Keras model files, without running what a stranger put into them.

tf_keras runs code from `.h5` files even with `safe_mode=True`, also from an `.h5` renamed `.keras` (keras-team/tf-keras#910). So a
file's configuration is read first, as data, and refused when it names Lambda layers or foreign modules. This does not make an
untrusted model safe; it closes the known doors.
"""

from __future__ import annotations

import json
import os
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge_runtime.errors import InputError, ModelError, first_line

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_ALLOWED_MODULES = ("keras", "tf_keras", "builtins")
_CODE_LAYERS = ("Lambda", "TFSMLayer")


def load_model(path: Path) -> Any:
    """A tf_keras model from `.keras` or `.h5`. InputError names what is wrong with the file and the way out."""
    check_model_file(path)
    import tf_keras

    try:
        return tf_keras.models.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, OSError, KeyError, AttributeError) as error:
        raise InputError(f"Cannot load {path}: {first_line(error)}. Is it made of standard Keras layers?") from None


def check_model_file(path: Path) -> None:
    """Inspect a model file without Keras; InputError when it is no tf_keras model, or could run code."""
    if path.is_dir():
        raise InputError(f"{path} is a folder, and a Keras model is one file: load a SavedModel with tf_keras and save it as .keras.")
    try:
        with path.open("rb") as file:
            magic = file.read(8)
    except OSError as error:
        raise InputError(f"Cannot read model {path}: {error.strerror}.") from None
    if magic[:4] == b"PK\x03\x04":
        version, config = _read_keras_zip(path)
    elif magic == _HDF5_MAGIC:
        if path.suffix == ".keras":
            raise InputError(f"{path} is an HDF5 file named .keras: rename it to .h5 if you trust where it comes from.")
        version, config = _read_hdf5(path)
    else:
        raise InputError(f"{path} is not a Keras model: expected a .keras or .h5 file written by tf_keras.")
    if version.startswith("3."):
        raise InputError(
            f"{path} is a Keras 3 model, and quantization-aware training needs tf_keras: rebuild the network with tf_keras, "
            "load its .weights.h5 there, and save that."
        )
    _refuse_code(path, config)


def _read_keras_zip(path: Path) -> tuple[str, Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            return str(json.loads(archive.read("metadata.json"))["keras_version"]), json.loads(archive.read("config.json"))
    except (zipfile.BadZipFile, zlib.error, KeyError, TypeError, ValueError, RuntimeError) as error:  # RuntimeError: encrypted, or nested too deep
        raise InputError(f"{path} is a zip file but not a Keras model ({error}).") from None


def _read_hdf5(path: Path) -> tuple[str, Any]:
    import h5py

    try:
        with h5py.File(path) as file:
            if "model_config" not in file.attrs:
                raise InputError(f"{path} holds weights without a network: save the whole model with model.save().")
            return str(file.attrs.get("keras_version", "")), json.loads(file.attrs["model_config"])
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise InputError(f"{path} is a damaged HDF5 file ({first_line(error)}).") from None


def _refuse_code(path: Path, config: Any) -> None:
    for entry in _objects(config):
        if entry.get("class_name") in _CODE_LAYERS:
            raise InputError(f"{path} contains a {entry['class_name']} layer, which runs code from the file: replace it by a standard layer.")
        module = entry.get("module")
        if isinstance(module, str) and module.split(".")[0] not in _ALLOWED_MODULES:
            raise InputError(f"{path} asks for Python module {module!r}: only standard Keras layers are loaded.")


def _objects(config: Any) -> Iterator[dict[str, Any]]:
    waiting = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield value
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def model_shape(model: Any) -> tuple[tuple[int, int, int], int]:
    """((H, W, C), classes) of an image classifier; ModelError when the model is something else."""
    inputs, outputs = len(model.inputs or []), len(model.outputs or [])  # None in a network that was never given an input size
    if (inputs, outputs) != (1, 1):
        raise ModelError(f"Expected one input and one output, got {inputs} and {outputs}: not a classifier.")
    _, *image = model.inputs[0].shape
    _, *answer = model.outputs[0].shape
    if len(image) != 3 or None in image or image[2] not in (1, 3) or len(answer) != 1 or not answer[0] or answer[0] < 2:
        raise ModelError(f"Expected images [H, W, 1 or 3] of fixed size in and [2 or more classes] out, got {image} and {answer}.")
    return (int(image[0]), int(image[1]), int(image[2])), int(answer[0])


def model_bytes(model: Any, suffix: str) -> bytes:
    """The model as the bytes of a `.keras` or `.h5` file, for the workspace to write whole."""
    import tf_keras

    handle, name = tempfile.mkstemp(suffix=suffix)
    os.close(handle)
    try:
        if suffix == ".h5":
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "You are saving your model as an HDF5 file")  # on purpose: see train.qat.load_qat
                tf_keras.models.save_model(model, name, include_optimizer=False)
        else:  # a .keras always takes the optimizer along: a clone has none
            bare = tf_keras.models.clone_model(model)
            bare.set_weights(model.get_weights())
            tf_keras.models.save_model(bare, name)
        return Path(name).read_bytes()
    finally:
        Path(name).unlink()
