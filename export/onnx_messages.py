"""The part of ONNX's file format that audits and taps read, as protobuf messages.

ONNX Runtime brings protobuf along but no reader of the format; the onnx package would, and is a fifth of a second and, with what it
depends on, 53 MB. Names and field numbers: onnx.proto of the ONNX project. Fields not listed here are kept when a message is written again.
"""

from __future__ import annotations

import functools
import struct
from typing import Any

_PACKAGE = "edgeproof_onnx"  # protobuf has one namespace a pool; this pool is ours alone

# message: {field: (number, type)}; "*" = repeated
_MESSAGES = {
    "ModelProto": {
        "ir_version": (1, "int64"),
        "graph": (7, "GraphProto"),
        "opset_import": (8, "*OperatorSetIdProto"),
        "metadata_props": (14, "*StringStringEntryProto"),
    },
    "StringStringEntryProto": {"key": (1, "string"), "value": (2, "string")},
    "OperatorSetIdProto": {"domain": (1, "string"), "version": (2, "int64")},
    "GraphProto": {
        "node": (1, "*NodeProto"),
        "initializer": (5, "*TensorProto"),
        "input": (11, "*ValueInfoProto"),
        "output": (12, "*ValueInfoProto"),
    },
    "NodeProto": {
        "input": (1, "*string"),
        "output": (2, "*string"),
        "name": (3, "string"),
        "op_type": (4, "string"),
        "attribute": (5, "*AttributeProto"),
        "domain": (7, "string"),
    },
    "AttributeProto": {"name": (1, "string"), "i": (3, "int64"), "t": (5, "TensorProto"), "g": (6, "GraphProto")},
    "TensorProto": {
        "dims": (1, "*int64"),
        "data_type": (2, "int32"),
        "float_data": (4, "*float"),
        "int32_data": (5, "*int32"),  # of all integers up to 32 bits
        "name": (8, "string"),
        "raw_data": (9, "bytes"),
        "data_location": (14, "int32"),
    },
    "ValueInfoProto": {"name": (1, "string"), "type": (2, "TypeProto")},
    "TypeProto": {"tensor_type": (1, "TensorTypeProto")},
    "TensorTypeProto": {"elem_type": (1, "int32"), "shape": (2, "TensorShapeProto")},
    "TensorShapeProto": {"dim": (1, "*DimensionProto")},
    "DimensionProto": {"dim_value": (1, "int64"), "dim_param": (2, "string")},
}

EXTERNAL = 1  # data_location of a tensor whose data is in another file

# Element types by number: (numpy's name, bits).
_ELEMENTS = {
    1: ("float32", 32), 2: ("uint8", 8), 3: ("int8", 8), 4: ("uint16", 16), 5: ("int16", 16), 6: ("int32", 32), 7: ("int64", 64),
    9: ("bool", 8), 10: ("float16", 16), 11: ("float64", 64), 12: ("uint32", 32), 13: ("uint64", 64), 14: ("complex64", 64),
    15: ("complex128", 128), 16: ("bfloat16", 16), 21: ("uint4", 4), 22: ("int4", 4),
}  # fmt: skip

_SCALARS = {"float32": "f", "int8": "b", "uint8": "B", "int16": "h", "uint16": "H"}  # struct's codes


def element_name(number: int) -> str:
    """numpy's name of an element type."""
    return _ELEMENTS.get(number, (f"type {number}", 8))[0]


def element_bits(number: int) -> int:
    return _ELEMENTS.get(number, ("", 8))[1]


def scalar(tensor: Any) -> float | None:
    """The number of a float32 or up to 16-bit integer TensorProto that holds exactly one, as scales and zero points do; None for others."""
    kind = element_name(tensor.data_type)
    if kind not in _SCALARS:
        return None
    if not tensor.raw_data:
        numbers = tensor.float_data if kind == "float32" else tensor.int32_data
        return numbers[0] if len(numbers) == 1 else None
    code = f"<{_SCALARS[kind]}"
    return struct.unpack(code, tensor.raw_data)[0] if len(tensor.raw_data) == struct.calcsize(code) else None


def parse_model(content: bytes) -> Any:
    """A ModelProto; protobuf's DecodeError when the bytes are none."""
    return message("ModelProto").FromString(content)


@functools.cache
def message(name: str) -> Any:
    """The class of a message."""
    from google.protobuf import message_factory

    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"{_PACKAGE}.{name}"))


@functools.cache
def _pool() -> Any:
    from google.protobuf import descriptor_pb2, descriptor_pool

    file = descriptor_pb2.FileDescriptorProto(name=f"{_PACKAGE}.proto", package=_PACKAGE, syntax="proto2")
    for name, fields in _MESSAGES.items():
        described = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            entry = described.field.add(name=field, number=number)
            entry.label = entry.LABEL_REPEATED if kind.startswith("*") else entry.LABEL_OPTIONAL
            kind = kind.removeprefix("*")
            if kind in _MESSAGES:
                entry.type, entry.type_name = entry.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
            else:
                entry.type = getattr(entry, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool
