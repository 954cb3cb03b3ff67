"""Puts the metadata into the artifact, so that one file is all the device needs. `edge_runtime.metadata` reads it back."""

from __future__ import annotations

import io
import zipfile

from edge_runtime.errors import InputError, first_line
from edge_runtime.metadata import ENTRY, ONNX_KEY, ModelMetadata, read_tflite_metadata

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold: the same model always gives the same bytes


def embed_tflite(model: bytes, metadata: ModelMetadata) -> bytes:
    """Append the metadata as a zip entry behind the flatbuffer. Interpreters read from the front and never see it."""
    archive = io.BytesIO()
    archive.write(model)
    with zipfile.ZipFile(archive, "a") as writer:
        writer.writestr(zipfile.ZipInfo(ENTRY, _EPOCH), metadata.to_json(), zipfile.ZIP_DEFLATED)
    return archive.getvalue()


def embed_onnx(model: bytes, metadata: ModelMetadata) -> bytes:
    """Add the metadata to `metadata_props`."""
    import onnx

    proto = onnx.load_model_from_string(model)
    onnx.helper.set_model_props(proto, {ONNX_KEY: metadata.to_json()})
    return proto.SerializeToString(deterministic=True)


def embedded(model: bytes) -> ModelMetadata | None:
    """The metadata of a `.tflite` or `.onnx`, without opening it in an interpreter; None when it carries none. InputError when it is damaged."""
    if model[4:8] == b"TFL3":
        return read_tflite_metadata(model)
    from export.onnx_messages import message

    file = message("ModelProto")()
    try:
        file.ParseFromString(model)
    except Exception as error:  # protobuf's errors share no public base class
        raise InputError(f"Not an ONNX file, or a damaged one ({first_line(error)}).") from None
    texts = [entry.value for entry in file.metadata_props if entry.key == ONNX_KEY]
    return ModelMetadata.from_json(texts[0]) if texts else None
