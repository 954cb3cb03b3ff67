"""A network cut after each of its operators: what one more operator costs is the difference of two runs.

TFLite's profiler cannot be reached from Python, and ONNX Runtime's costs three times what it looks at in a small network (35 µs an
inference of compact int8, 115 µs with it). A prefix is a model like any other: on every runtime, with its delegate and its fused operators,
on a board as on this machine. The shortest has no operator at all: what it costs is the call of the runtime.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from edge_runtime.errors import UnsupportedModelError
from export.audit import Operator

MOST_STEPS = 400  # of a network: the time of all prefixes grows with the square
MOST_BYTES = 1_000_000_000  # of all its prefixes


@dataclass(frozen=True)
class Step:
    """One more operator. `names`, of tensors or of the operator itself, hold the paths of its Keras layers."""

    operator: Operator
    names: tuple[str, ...]


@dataclass(frozen=True)
class Cut:
    """A network's operators in order, and its prefixes: one more than there are operators, the first without any."""

    steps: tuple[Step, ...]
    prefixes: tuple[bytes, ...]


class Node(NamedTuple):
    """An operator as cutting sees it: the tensors it reads and writes."""

    inputs: Sequence[Hashable]
    outputs: Sequence[Hashable]


class Prefix(NamedTuple):
    """Indices of the operators of a prefix, and the tensors that the rest of the network needs of them: with branches, several."""

    kept: list[int]
    ends: list[Hashable]


def steps_of(nodes: Sequence[Node], inputs: Sequence[Hashable]) -> list[int]:
    """What `of_the_input` finds; UnsupportedModelError when that are more than MOST_STEPS."""
    found = of_the_input(nodes, inputs)
    if len(found) > MOST_STEPS:
        raise UnsupportedModelError(f"{len(found)} operators are more than the {MOST_STEPS} that a network is cut into.")
    return found


def of_the_input(nodes: Sequence[Node], inputs: Sequence[Hashable]) -> list[int]:
    """Indices of the operators that depend on the input. The others only unpack weights: runtimes do that once, or within their kernels."""
    made, found = set(inputs), []
    for index, node in enumerate(nodes):
        if not made.isdisjoint(node.inputs):
            made.update(node.outputs)
            found.append(index)
    return found


def check_size(prefixes: Sequence[bytes]) -> None:
    """UnsupportedModelError when they take more room together than MOST_BYTES."""
    if sum(map(len, prefixes)) > MOST_BYTES:
        raise UnsupportedModelError(f"Cut after its operators it takes more than {MOST_BYTES / 1e9:.0f} GB.")


def prefix_of(nodes: Sequence[Node], steps: Sequence[int], length: int, inputs: Sequence[Hashable], outputs: Sequence[Hashable]) -> Prefix:
    """The first `length` of the steps, with what unpacks weights for them, in the network's order."""
    kept = set(steps[:length])
    needed = {tensor for index in kept for tensor in nodes[index].inputs}
    for index in reversed(range(len(nodes))):
        if index not in steps and not needed.isdisjoint(nodes[index].outputs):
            kept.add(index)
            needed.update(nodes[index].inputs)
    if length in (0, len(steps)):
        return Prefix(sorted(kept), list(outputs if length else inputs))
    wanted = {tensor for index in steps[length:] for tensor in nodes[index].inputs} | set(outputs)
    return Prefix(sorted(kept), [tensor for index in steps[:length] for tensor in nodes[index].outputs if tensor in wanted])
