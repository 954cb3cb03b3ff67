"""A `.tflite` as objects and back."""

from __future__ import annotations

from typing import Any


def unpacked(content: bytes) -> Any:
    """The schema's ModelT. Raises whatever flatbuffers raises for a damaged file: it has no error type of its own."""
    from ai_edge_litert import schema_py_generated as schema

    return schema.ModelT.InitFromPackedBuf(content, 0)


def packed(model: Any) -> bytes:
    """The flatbuffer alone, without what was appended to the file."""
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def indices(vector: Any) -> list[int]:
    """A vector of tensors' indices; -1 stands for an input that is left out."""
    return [int(index) for index in (() if vector is None else vector) if index >= 0]
