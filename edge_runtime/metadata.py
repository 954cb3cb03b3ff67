"""What a model says about itself: labels, preprocessing and lineage, inside the file.

In a `.tflite` it is a zip entry appended to the flatbuffer, where TFLite's own tools put associated files: interpreters read the flatbuffer
from the front, zip readers find their directory from the back. In an `.onnx` it is one `metadata_props` entry.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from edge_runtime.errors import InputError
from edge_runtime.preprocess import Preprocessing

SCHEMA = 1
ENTRY = "edgeproof.json"  # name of the zip entry in a .tflite
ONNX_KEY = "edgeproof"  # key of the metadata_props entry in an .onnx


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
        with zipfile.ZipFile(io.BytesIO(model)) as archive:
            text = archive.read(ENTRY).decode()
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, RuntimeError, ValueError) as error:
        raise InputError(f"The model's edgeproof metadata is damaged ({error}): export the model again.") from None
    return ModelMetadata.from_json(text)
