"""A network cut after each of its operators: what one more operator costs is the difference of two runs.

The runtimes' own profilers cannot be reached from Python (TFLite's) or count whole microseconds (ONNX Runtime's). A prefix is a model like
any other: on every runtime, with its delegate and its fused operators, on a board as on this machine. The shortest has no operator at all:
what it costs is the call of the runtime.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from edge_runtime.errors import UnsupportedModelError, first_line
from export.audit import Audit, Operator, audit

MOST_CUTS = 400  # of a network: the time of all prefixes grows with the square


@dataclass(frozen=True)
class Step:
    """One more operator. `names` are those of the tensors it writes and of its weights, which hold the paths of its Keras layers."""

    operator: Operator
    names: tuple[str, ...]


@dataclass(frozen=True)
class Cut:
    """A network's operators in order, and its prefixes: one more than there are operators, the first without any."""

    steps: tuple[Step, ...]
    prefixes: tuple[bytes, ...]


def cut(model: bytes) -> Cut:
    """Cut a `.tflite`. InputError when it is damaged, UnsupportedModelError when it cannot be cut."""
    found = audit(model)
    if found.family != "tflite":
        raise UnsupportedModelError("An .onnx is not cut.")
    try:
        return _cut_tflite(model, found)
    except UnsupportedModelError:
        raise
    except Exception as error:  # flatbuffers has no error type of its own
        raise UnsupportedModelError(f"This file cannot be cut after its operators ({first_line(error)}).") from None


def _cut_tflite(content: bytes, found: Audit) -> Cut:
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    model.signatureDefs, model.metadata = None, None  # they name ends that a prefix has not
    graph = model.subgraphs[0]
    operators = list(graph.operators)
    computing = _computing(operators, graph.inputs)
    if len(computing) > MOST_CUTS:
        raise UnsupportedModelError(f"{len(computing)} operators are more than the {MOST_CUTS} that a network is cut into.")
    buffers, outputs = list(model.buffers), list(graph.outputs)
    steps = [Step(found.operators[index], _names(graph, operators[index])) for index in computing]
    prefixes = []
    for length in range(len(computing) + 1):
        kept = _with_unpackers(operators, computing[:length], computing)
        graph.operators = [operators[index] for index in kept]
        graph.outputs = _ends(operators, computing, length, outputs) if length else list(graph.inputs)
        model.buffers = _used_buffers(schema, model, graph, buffers)
        prefixes.append(_packed(model))
    return Cut(tuple(steps), tuple(prefixes))


def _computing(operators: Sequence[Any], inputs: Collection[int]) -> list[int]:
    """Indices of the operators that depend on the input. The others only unpack weights: runtimes do that once, or within their kernels."""
    made, found = {int(index) for index in inputs}, []
    for index, operator in enumerate(operators):
        if not made.isdisjoint(map(int, operator.inputs)):
            made.update(map(int, operator.outputs))
            found.append(index)
    return found


def _with_unpackers(operators: Sequence[Any], chosen: Sequence[int], computing: Sequence[int]) -> list[int]:
    """The chosen operators, and those that unpack weights for them, in the network's order."""
    needed = {int(tensor) for index in chosen for tensor in operators[index].inputs}
    kept = set(chosen)
    for index in reversed(range(len(operators))):
        if index not in computing and not needed.isdisjoint(map(int, operators[index].outputs)):
            kept.add(index)
            needed.update(map(int, operators[index].inputs))
    return sorted(kept)


def _ends(operators: Sequence[Any], computing: Sequence[int], length: int, outputs: Sequence[int]) -> list[int]:
    """The tensors that the rest of the network needs of the first `length` operators: with branches, several."""
    if length == len(computing):
        return list(outputs)
    wanted = {int(tensor) for index in computing[length:] for tensor in operators[index].inputs} | {int(tensor) for tensor in outputs}
    made = [int(tensor) for index in computing[:length] for tensor in operators[index].outputs]
    return [tensor for tensor in made if tensor in wanted]


def _used_buffers(schema: Any, model: Any, graph: Any, buffers: Sequence[Any]) -> list[Any]:
    """All buffers, empty where only operators that were cut off read them."""
    empty = schema.BufferT()
    tensors = {int(index) for operator in graph.operators for index in (*operator.inputs, *operator.outputs) if index >= 0}
    used = {graph.tensors[index].buffer for index in tensors} | {tensor.buffer for other in model.subgraphs[1:] for tensor in other.tensors}
    return [buffer if index in used else empty for index, buffer in enumerate(buffers)]


def _names(graph: Any, operator: Any) -> tuple[str, ...]:
    """Of what it writes first, then of its weights: the network's output is named after the function that was converted."""
    indices = [index for index in (*operator.outputs, *operator.inputs[1:2]) if index >= 0]
    return tuple((graph.tensors[index].name or b"").decode(errors="replace") for index in indices)


def _packed(model: Any) -> bytes:
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
