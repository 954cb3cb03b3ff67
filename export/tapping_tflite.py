"""A copy of a TensorFlow Lite model that also gives out what its operators write.

An interpreter can be told to keep every tensor, but tflite-runtime 2.14 multiplies and adds in place all the same, over what the operator
before wrote. What a model gives out, no runtime writes over.
"""

from __future__ import annotations

from edge_runtime.errors import UnsupportedModelError, first_line
from export.embed import embed_tflite, embedded
from export.flatbuffer import indices, packed, unpacked
from export.prefixes import Node, of_the_input


def tap_tflite(model: bytes) -> bytes:
    """The copy, its own answer first. UnsupportedModelError for what cannot be copied."""
    try:
        tapped = _tapped(model)
    except Exception as error:  # flatbuffers has no error type of its own
        raise UnsupportedModelError(f"This file cannot be looked into ({first_line(error)}).") from None
    metadata = embedded(model)
    return embed_tflite(tapped, metadata) if metadata else tapped


def _tapped(model: bytes) -> bytes:
    file = unpacked(model)
    file.signatureDefs = None  # they name the outputs
    graph = file.subgraphs[0]
    nodes = [Node(indices(operator.inputs), indices(operator.outputs)) for operator in graph.operators]
    written = [index for step in of_the_input(nodes, indices(graph.inputs)) for index in nodes[step].outputs]
    graph.outputs = list(dict.fromkeys([*indices(graph.outputs), *written]))
    return packed(file)
