"""Pictures in, labels out, on whichever runtime is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from edge_runtime.errors import InputError, UnsupportedModelError
from edge_runtime.interpreter import OpenModel, TensorSpec, open_model
from edge_runtime.metadata import ModelMetadata
from edge_runtime.preprocess import Preprocessing
from edge_runtime.tensors import Quantization, softmax

Encoder = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Prediction:
    """The answers for N images."""

    outputs: np.ndarray  # [N, classes], in the model's own number type
    names: tuple[str, ...]
    quantization: Quantization | None
    output: str  # "logits" or "probabilities"

    @cached_property
    def labels(self) -> np.ndarray:
        """int64 [N]: the class with the largest raw output, the lowest index on ties."""
        return self.outputs.argmax(axis=1).astype(np.int64)

    @cached_property
    def probabilities(self) -> np.ndarray:
        """float32 [N, classes]. Computed on first access: on a small model a softmax costs as much as a layer."""
        return to_probabilities(self.outputs, self.quantization, self.output)


def to_probabilities(outputs: np.ndarray, quantization: Quantization | None, kind: str) -> np.ndarray:
    """Raw outputs [N, classes] to float32 probabilities; `kind` is "logits" or "probabilities"."""
    real = quantization.dequantize(outputs) if quantization else outputs.astype(np.float32)
    return softmax(real) if kind == "logits" else real


def input_encoder(spec: TensorSpec, contract: Preprocessing) -> Encoder:
    """The function from uint8 pixels to the model's input tensor.

    A pixel has 256 values, so that normalizing and quantizing are one table, computed here by the same code that training used. With
    x/255 and int8 input the table is a flipped top bit, which costs next to nothing.

    A uint8 input without quantization parameters takes the pixels as they are; UnsupportedModelError for any other integer without them.
    """
    if spec.quantization is None and spec.dtype == "uint8":
        return lambda images: images
    if spec.quantization is None and not spec.dtype.startswith("float"):
        raise UnsupportedModelError(f"The model takes {spec.dtype} and does not say how pixels become that: export it with a float or uint8 input.")
    table = contract.normalize(np.arange(256, dtype=np.uint8))
    if spec.quantization:
        table = spec.quantization.quantize(table)
    if spec.dtype == "int8" and np.array_equal(table, (np.arange(256, dtype=np.uint8) ^ 0x80).view(np.int8)):
        return lambda images: (images ^ 0x80).view(np.int8)
    return lambda images: table[images]


class Classifier:
    """An opened image classifier.

    Load one with `Classifier.load`. A model without edgeproof metadata gets what `assume` says ("preprocessing" and "class_names", as
    metadata has them, and "output"), or else numbered classes and pixels scaled to 0..1.
    """

    def __init__(self, model: OpenModel, assume: Mapping[str, Any] | None = None) -> None:
        self.model = model
        self.metadata = model.metadata or _assumed_metadata(model, assume)
        if model.output.shape[1:] != (len(self.metadata.class_names),):
            raise InputError(
                f"The model answers {list(model.output.shape)}, its metadata names {len(self.metadata.class_names)} classes: export it again."
            )
        encode, contract = input_encoder(model.input, self.metadata.preprocessing), self.metadata.preprocessing
        self.encode: Encoder = encode if contract.layout == "NHWC" else lambda images: contract.arrange(encode(images))

    @classmethod
    def load(cls, model: str | Path | bytes, runtime: str = "auto", threads: int = 1, assume: Mapping[str, Any] | None = None) -> Classifier:
        """Open a `.tflite` or `.onnx` file, or its bytes. Raises what `open_model` raises."""
        return cls(open_model(model, runtime=runtime, threads=threads), assume)

    def predict(self, images: np.ndarray) -> Prediction:
        """Classify uint8 images [N, H, W] or [N, H, W, C]; InputError when they do not fit the model."""
        batch = self.metadata.preprocessing.as_batch(images)
        outputs = np.empty((len(batch), *self.model.output.shape[1:]), self.model.output.dtype)
        for index in range(len(batch)):
            outputs[index] = self._run(batch[index : index + 1])
        return Prediction(outputs, self.metadata.class_names, self.model.output.quantization, self.metadata.output)

    def predict_file(self, path: str | Path) -> Prediction:
        """Classify one picture file; InputError when it cannot be read."""
        return self.predict(self.metadata.preprocessing.load_image(path)[np.newaxis])

    def _run(self, image: np.ndarray) -> np.ndarray:
        self.model.set_input(self.encode(image))
        self.model.invoke()
        return self.model.get_output()[0]


def _assumed_metadata(model: OpenModel, assume: Mapping[str, Any] | None) -> ModelMetadata:
    if len(model.output.shape) != 2:
        raise InputError(f"Expected an image classifier ([1, classes] out), got {list(model.output.shape)}.")
    contract = Preprocessing.of_input(model.input.shape)
    if assume is None:
        return ModelMetadata("unnamed", "unknown", tuple(str(index) for index in range(model.output.shape[1])), contract)
    assumed = Preprocessing.from_dict(assume["preprocessing"])
    if (assumed.shape, assumed.layout) != (contract.shape, contract.layout):
        raise InputError(f"The model takes {list(model.input.shape)}, not pictures {list(assumed.shape)} in {assumed.layout}.")
    return ModelMetadata("unnamed", "unknown", tuple(assume["class_names"]), assumed, assume["output"])
