"""Prefixes of a TensorFlow Lite flatbuffer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edge_runtime.errors import UnsupportedModelError, first_line
from export.audit import Audit
from export.audit_tflite import audit_tflite
from export.flatbuffer import indices, packed, unpacked
from export.prefixes import Cut, Node, Step, check_size, prefix_of, steps_of


def cut_tflite(model: bytes) -> Cut:
    """Cut a `.tflite` after each operator. InputError when it is damaged, UnsupportedModelError when it cannot be cut."""
    found = audit_tflite(model)
    try:
        return _cut(model, found)
    except UnsupportedModelError:
        raise
    except Exception as error:  # flatbuffers has no error type of its own
        raise UnsupportedModelError(f"This file cannot be cut after its operators ({first_line(error)}).") from None


def _cut(content: bytes, found: Audit) -> Cut:
    from ai_edge_litert import schema_py_generated as schema

    model = unpacked(content)
    model.signatureDefs, model.metadata = None, None  # they name ends that a prefix has not
    graph = model.subgraphs[0]
    operators, buffers = list(graph.operators), list(model.buffers)
    inputs, outputs = indices(graph.inputs), indices(graph.outputs)
    nodes = [Node(indices(operator.inputs), indices(operator.outputs)) for operator in operators]
    steps = steps_of(nodes, inputs)
    prefixes: list[bytes] = []
    for length in range(len(steps) + 1):
        kept, graph.outputs = prefix_of(nodes, steps, length, inputs, outputs)
        graph.operators = [operators[index] for index in kept]
        model.buffers = _used_buffers(schema.BufferT(), model, [nodes[index] for index in kept], buffers)
        prefixes.append(packed(model))
        check_size(prefixes)
    return Cut(tuple(Step(found.operators[index], _names(graph, nodes[index])) for index in steps), tuple(prefixes))


def _used_buffers(empty: Any, model: Any, nodes: Sequence[Node], buffers: Sequence[Any]) -> list[Any]:
    """All buffers, empty where only operators that were cut off read them."""
    tensors = {index for node in nodes for index in (*node.inputs, *node.outputs)}
    used = {model.subgraphs[0].tensors[index].buffer for index in tensors}
    used |= {tensor.buffer for other in model.subgraphs[1:] for tensor in other.tensors}
    return [buffer if index in used else empty for index, buffer in enumerate(buffers)]


def _names(graph: Any, node: Node) -> tuple[str, ...]:
    """Of what it writes first, then of its weights: the network's output is named after the function that was converted."""
    return tuple((graph.tensors[index].name or b"").decode(errors="replace") for index in (*node.outputs, *node.inputs[1:2]))
