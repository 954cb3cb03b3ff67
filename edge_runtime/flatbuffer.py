"""Whether a `.tflite` is all there.

tflite-runtime does not verify what it opens: of a file that was cut short it reads on into whatever memory follows, for a minute or
until it crashes. Layout: https://flatbuffers.dev/internals/, numbers of fields: TensorFlow Lite's schema.fbs.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct, error

from edge_runtime.errors import UnsupportedModelError

_MODEL_CODES, _MODEL_GRAPHS, _MODEL_BUFFERS = 1, 2, 4
_GRAPH_TENSORS, _GRAPH_OPERATORS = 0, 3
_BUFFER_DATA = 0
_OFFSET, _BACK, _SHORT = Struct("<I"), Struct("<i"), Struct("<H")


def check_whole(model: bytes, name: str) -> None:
    """UnsupportedModelError when a table, an operator, a tensor or a weight lies beyond the end. Some hundred steps a network: microseconds each."""
    try:
        root = _read(_OFFSET, model, 0)
        for graph in _tables(model, root, _MODEL_GRAPHS):
            for field in (_GRAPH_TENSORS, _GRAPH_OPERATORS):
                _visit(model, graph, field)
        _visit(model, root, _MODEL_CODES)
        for buffer in _tables(model, root, _MODEL_BUFFERS):
            _vector(model, buffer, _BUFFER_DATA, 1)
    except error:
        raise UnsupportedModelError(
            f"{name} is cut short or damaged: parts of the model lie beyond its {len(model):,} bytes. Copy it again."
        ) from None


def _read(kind: Struct, model: bytes, at: int) -> int:
    if at < 0:  # counts from the end
        raise error
    number: int = kind.unpack_from(model, at)[0]
    return number


def _place(model: bytes, table: int, field: int) -> int | None:
    """Where a field of a table lies; None for one that is left out."""
    index = table - _read(_BACK, model, table)
    entry = _SHORT.size * (2 + field)  # behind the sizes of index and table
    offset = _read(_SHORT, model, index + entry) if entry < _read(_SHORT, model, index) else 0
    return table + offset if offset else None


def _vector(model: bytes, table: int, field: int, size: int) -> tuple[int, int]:
    """(begin, count) of a field's elements of `size` bytes."""
    place = _place(model, table, field)
    if place is None:
        return 0, 0
    begin = place + _read(_OFFSET, model, place)
    count = _read(_OFFSET, model, begin)
    if begin + _OFFSET.size + count * size > len(model):
        raise error
    return begin + _OFFSET.size, count


def _tables(model: bytes, table: int, field: int) -> Iterator[int]:
    begin, count = _vector(model, table, field, _OFFSET.size)
    for place in range(begin, begin + count * _OFFSET.size, _OFFSET.size):
        yield place + _read(_OFFSET, model, place)


def _visit(model: bytes, table: int, field: int) -> None:
    for one in _tables(model, table, field):
        _place(model, one, 0)
