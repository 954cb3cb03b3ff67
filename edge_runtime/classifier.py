"""Pictures in, labels out, on whichever runtime is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edge_runtime.answers import Prediction, probability_reader, undeclared_reader
from edge_runtime.errors import InputError, UnsupportedModelError
from edge_runtime.interpreter import OpenModel, TensorSpec, open_model
from edge_runtime.metadata import ModelMetadata
from edge_runtime.preprocess import Preprocessing

Encoder = Callable[[np.ndarray], np.ndarray]
_UINT8 = np.dtype(np.uint8)


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
        mask, int8 = np.full((1, *contract.shape), 0x80, np.uint8), np.dtype(np.int8)  # as large as an image: numpy is slow with scalars
        return lambda images: np.bitwise_xor(images, mask).view(int8)
    return table.take


class Classifier:
    """An opened image classifier.

    Load one with `Classifier.load`. A model without edgeproof metadata gets what `assume` says ("preprocessing" and "class_names", as
    metadata has them, and "output"), or else numbered classes and pixels scaled to 0..1; its answers are probabilities if they look so.
    """

    def __init__(self, model: OpenModel, assume: Mapping[str, Any] | None = None) -> None:
        self.model = model
        self.undeclared = model.metadata is None and assume is None
        self.metadata = model.metadata or _assumed_metadata(model, assume)
        if model.output.shape[1:] != (len(self.metadata.class_names),):
            raise InputError(
                f"The model answers {list(model.output.shape)}, its metadata names {len(self.metadata.class_names)} classes: export it again."
            )
        encode, contract = input_encoder(model.input, self.metadata.preprocessing), self.metadata.preprocessing
        self.encode: Encoder = encode if contract.layout == "NHWC" else lambda images: contract.arrange(encode(images))
        self._one = (1, *contract.shape)
        self._names = self.metadata.class_names
        quantization = model.output.quantization
        self._read = undeclared_reader(quantization) if self.undeclared else probability_reader(quantization, self.metadata.output)
        self._batches: bool | None = None  # whether the file takes several images at once; not known before it was tried

    @classmethod
    def load(
        cls,
        model: str | Path | bytes,
        runtime: str = "auto",
        threads: int = 1,
        assume: Mapping[str, Any] | None = None,
        sha256: str | None = None,
    ) -> Classifier:
        """Open a `.tflite` or `.onnx` file, or its bytes. Raises what `open_model` raises."""
        return cls(open_model(model, runtime=runtime, threads=threads, sha256=sha256), assume)

    def predict(self, images: np.ndarray, batch: int = 1) -> Prediction:
        """Classify uint8 images [N, H, W] or [N, H, W, C]; InputError when they do not fit the model.

        batch: how many the interpreter is given at once, where the file allows it. One is what a device with one camera does, so what
        parity judges, and the kernels gain next to nothing from more; larger batches save Python's share of a small network's time.
        """
        # The usual case first: on a small network every microsecond of Python counts.
        if batch == 1 and type(images) is np.ndarray and images.dtype is _UINT8 and images.shape == self._one:
            model = self.model
            if model.images != 1:
                model.resize(1)
            model.set_input(self.encode(images))
            model.invoke()
            return Prediction(model.get_output(), self._names, self._read)
        return self._predict_all(self.metadata.preprocessing.as_batch(images), batch)

    def _predict_all(self, images: np.ndarray, batch: int) -> Prediction:
        if batch < 1:
            raise InputError(f"Expected batches of at least 1 image, got {batch}.")
        size = batch if batch > 1 and len(images) > 1 and self._takes_batches(images[:1]) else 1
        outputs = np.empty((len(images), *self.model.output.shape[1:]), self.model.output.dtype)
        for begin in range(0, len(images), size):
            outputs[begin : begin + size] = self._run(images[begin : begin + size])
        return Prediction(outputs, self._names, self._read)

    def _takes_batches(self, image: np.ndarray) -> bool:
        """Decided once, by trying: an open batch at a model's ends says nothing of a size baked into its middle, or of mixed-up answers."""
        if self._batches is None:
            two = np.concatenate([image, 255 - image])
            alone = np.concatenate([self._run(two[:1]), self._run(two[1:])]).astype(np.float64)
            try:
                self._batches = np.allclose(self._run(two), alone, rtol=1e-3, atol=1e-3 * float(np.ptp(alone)))
            except UnsupportedModelError:
                self._batches = False
        return self._batches

    def predict_file(self, path: str | Path) -> Prediction:
        """Classify one picture file; InputError when it cannot be read."""
        return self.predict(self.metadata.preprocessing.load_image(path)[np.newaxis])

    def _run(self, images: np.ndarray) -> np.ndarray:
        model = self.model
        if model.images != len(images):
            model.resize(len(images))
        model.set_input(self.encode(images))
        model.invoke()
        return model.get_output()


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
