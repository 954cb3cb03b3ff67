"""A model that an interpreter has opened: what is asked for, and what every interpreter gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edge_runtime.metadata import ModelMetadata
from edge_runtime.tensors import Quantization

if TYPE_CHECKING:
    from edge_runtime.runtimes import Runtime


class TensorSpec(NamedTuple):
    """Shape and number type of a model's input or output. `quantization` is None for float tensors."""

    shape: tuple[int, ...]
    dtype: str
    quantization: Quantization | None


class InnerTensor(NamedTuple):
    """What one operator wrote for one image, in the model's own number type. `name` holds the path of its Keras layer."""

    name: str
    values: np.ndarray
    quantization: Quantization | None


class Opening(NamedTuple):
    """What is to be opened, and how; everything in it has been checked."""

    runtime: Runtime
    content: bytes
    metadata: ModelMetadata | None
    kernels: str
    threads: int
    keep_tensors: bool
    part: bool = False  # of a network: it may give out several tensors, and is run as it is


class OpenModel:
    """A model ready to run, batch 1. Input and output are in the model's own number type.

    The three calls of an inference are attributes, set once: where an interpreter has such a function, nothing of ours stands before it.
    """

    set_input: Callable[[np.ndarray], None]
    invoke: Callable[[], None]
    get_output: Callable[[], np.ndarray]

    def __init__(self, opening: Opening, delegate: str, input: TensorSpec, output: TensorSpec) -> None:
        self._runtime = opening.runtime
        self.runtime, self.kernels, self.threads = opening.runtime.name, opening.kernels, opening.threads
        self.metadata = opening.metadata
        self.delegate = delegate  # "XNNPACK", "none", or the execution provider
        self.input, self.output = input, output
        self.images = 1  # how many the next `set_input` takes

    @property
    def runtime_version(self) -> str:
        """Looked up on demand: it costs as much as opening a small model."""
        return self._runtime.version

    def resize(self, images: int) -> None:
        """Take so many images a run from now on. UnsupportedModelError, and no change, for a file in which 1 is baked in."""
        raise NotImplementedError

    def inner_tensors(self) -> list[InnerTensor]:
        """What every operator made of the input, after `invoke`, in the network's order; only of a model opened with `keep_tensors`."""
        raise NotImplementedError
