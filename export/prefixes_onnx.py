"""Prefixes of an ONNX network as ONNX Runtime runs it: cut after its optimization, which fuses operators and lays out tensors anew."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from edge_runtime.errors import UnsupportedModelError, first_line
from export.audit import Operator
from export.audit_onnx import audit_onnx, operators_of
from export.onnx_messages import message, parse_model
from export.prefixes import Cut, Node, Step, check_size, prefix_of, steps_of


def cut_onnx(model: bytes, optimized: bytes) -> Cut:
    """Cut `optimized`, the graph that ONNX Runtime made of `model` on the machine it is to run on, after each operator.

    The prefixes are to be run without optimizing them again. InputError when the model is damaged, UnsupportedModelError when it cannot be cut.
    """
    multiplying = [operator for operator in audit_onnx(model).operators if operator.macs != 0]
    try:
        return _cut(parse_model(optimized), multiplying)
    except UnsupportedModelError:
        raise
    except Exception as error:  # protobuf's errors share no public base class
        raise UnsupportedModelError(f"This file cannot be cut after its operators ({first_line(error)}).") from None


def _cut(proto: Any, multiplying: list[Operator]) -> Cut:
    nodes = [Node([name for name in node.input if name], [name for name in node.output if name]) for node in proto.graph.node]
    constants = {tensor.name for tensor in proto.graph.initializer}
    inputs = [end.name for end in proto.graph.input if end.name not in constants]
    outputs = [end.name for end in proto.graph.output]
    steps = steps_of(nodes, inputs)
    operators = _with_macs(operators_of(proto), multiplying)
    if len(operators) != len(nodes):
        raise UnsupportedModelError("A network with other networks inside (If, Loop) is not cut after its operators.")
    prefixes: list[bytes] = []
    for length in range(len(steps) + 1):
        prefixes.append(_packed(proto, *prefix_of(nodes, steps, length, inputs, outputs)))
        check_size(prefixes)
    names = [(node.name, *node.output) for node in proto.graph.node]
    return Cut(tuple(Step(operators[index], names[index]) for index in steps), tuple(prefixes))


def _with_macs(operators: tuple[Operator, ...], multiplying: list[Operator]) -> list[Operator]:
    """The operators with the multiply-accumulates that the audit counted, in order: the machine's own layouts hide the shapes."""
    mine = [index for index, operator in enumerate(operators) if operator.macs != 0]
    counts = [operator.macs for operator in multiplying] if len(mine) == len(multiplying) else [None] * len(mine)
    found = dict(zip(mine, counts, strict=True))
    return [replace(operator, macs=found.get(index, 0)) for index, operator in enumerate(operators)]


def _packed(proto: Any, kept: list[int], ends: list[Any]) -> bytes:
    copy = message("ModelProto")()
    copy.CopyFrom(proto)
    graph, nodes = copy.graph, proto.graph.node
    known = {end.name: end for end in (*proto.graph.input, *proto.graph.output)}
    del graph.node[:], graph.output[:], graph.initializer[:]
    graph.node.extend(nodes[index] for index in kept)
    graph.output.extend(known.get(name) or message("ValueInfoProto")(name=name) for name in ends)
    read = {name for index in kept for name in nodes[index].input}
    graph.initializer.extend(tensor for tensor in proto.graph.initializer if tensor.name in read)
    return bytes(copy.SerializeToString())
