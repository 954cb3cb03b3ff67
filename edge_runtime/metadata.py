"""What a model says about itself: labels, preprocessing and lineage, inside the file.

In a `.tflite` it is a zip entry appended to the flatbuffer, where TFLite's own tools put associated files: interpreters read the flatbuffer
from the front, zip readers find their directory from the back. In an `.onnx` it is one `metadata_props` entry.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field

from edge_runtime.errors import InputError
from edge_runtime.preprocess import Preprocessing
from edge_runtime.zip_entry import read_entry

SCHEMA = 1
ENTRY = "edgeproof.json"  # name of the zip entry in a .tflite
ONNX_KEY = "edgeproof"  # key of the metadata_props entry in an .onnx
_METADATA_PROPS = 14  # its field in ONNX's ModelProto, https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
_LENGTH_DELIMITED, _FIXED = 2, {1: 8, 5: 4}  # protobuf's wire types


@dataclass(frozen=True)
class ModelMetadata:
    """Everything an interpreter's caller must know that the tensors do not say."""

    name: str
    format: str
    class_names: tuple[str, ...]
    preprocessing: Preprocessing
    output: str = "logits"  # or "probabilities", when the model keeps its softmax
    lineage: Mapping[str, str] = field(default_factory=dict)  # sha256 of what the artifact was made from
    schema: int = SCHEMA

    def to_json(self) -> str:
        """The same metadata always gives the same text: artifacts must be reproducible to the byte."""
        return json.dumps({**asdict(self), "preprocessing": self.preprocessing.to_dict()}, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> ModelMetadata:
        """Raises InputError when the text is not this metadata, or is from a newer edgeproof."""
        try:
            fields = json.loads(text)
            if fields["schema"] > SCHEMA:
                raise InputError(f"The model's metadata has schema {fields['schema']}, this edge_runtime reads {SCHEMA}: upgrade it.")
            return cls(**{**fields, "class_names": tuple(fields["class_names"]), "preprocessing": Preprocessing.from_dict(fields["preprocessing"])})
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"The model's edgeproof metadata is damaged ({error}): export the model again.") from None


def read_tflite_metadata(model: bytes) -> ModelMetadata | None:
    """Metadata of a `.tflite`, or None when it carries none (somebody else's model).

    InputError when the entry is there but damaged: going on with assumed labels and scaling would answer wrongly without a word.
    """
    if ENTRY.encode() not in model:  # zip headers hold names as they are
        return None
    try:
        text = read_entry(model, ENTRY).decode()
    except ValueError as error:
        raise InputError(f"The model's edgeproof metadata is damaged ({error}): export the model again.") from None
    return ModelMetadata.from_json(text)


def read_onnx_metadata(model: bytes) -> ModelMetadata | None:
    """Metadata of an `.onnx`, read before any interpreter; None when it carries none, or when the file ends early (which ONNX Runtime refuses).

    InputError when it is there but damaged.
    """
    text = None
    for number, value in _fields(model):
        if number == _METADATA_PROPS:
            entry = dict(_fields(value))
            if entry.get(1) == ONNX_KEY.encode():
                text = entry.get(2, b"")
    if text is None:
        return None
    try:
        return ModelMetadata.from_json(text.decode())
    except UnicodeDecodeError as error:
        raise InputError(f"The model's edgeproof metadata is damaged ({error}): export the model again.") from None


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Numbers and contents of the length-delimited fields of a protobuf message, as far as it can be read; the others are skipped.

    https://protobuf.dev/programming-guides/encoding
    """
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        if tag & 7 == _LENGTH_DELIMITED:
            length, position = _varint(message, position)
            if position + length > len(message):
                return
            yield tag >> 3, message[position : position + length]
            position += length
        elif tag & 7 == 0:
            _, position = _varint(message, position)
        elif tag & 7 in _FIXED:
            position += _FIXED[tag & 7]
        else:
            return


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """The number that starts at `position`, and where what follows it starts: nowhere, when the message ends inside it."""
    number = 0
    for count, byte in enumerate(message[position : position + 10]):
        number |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            return number, position + count + 1
    return number, len(message)
