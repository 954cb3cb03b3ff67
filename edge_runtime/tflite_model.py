"""A `.tflite` on ai-edge-litert or tflite-runtime, which share one Python interface."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import numpy as np

from edge_runtime.errors import UnsupportedModelError, operator_line
from edge_runtime.opened import InnerTensor, Opening, OpenModel, TensorSpec
from edge_runtime.tensors import Quantization


class TfliteModel(OpenModel):
    """`module` is the interpreter's, as imported."""

    def __init__(self, module: Any, opening: Opening) -> None:
        self._interpreter = _interpreter(module, opening)
        inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        if len(inputs) != 1 or (len(outputs) != 1 and not opening.keep_tensors and not opening.part):
            raise UnsupportedModelError(f"Expected one input and one output, got {len(inputs)} and {len(outputs)}: not a classifier.")
        delegate = "XNNPACK" if any(op["op_name"] == "DELEGATE" for op in self._interpreter._get_ops_details()) else "none"
        super().__init__(opening, delegate, _spec(inputs[0]), _spec(outputs[0]))
        self._input_index, self._output_index = inputs[0]["index"], outputs[0]["index"]
        self.set_input = partial(self._interpreter.set_tensor, self._input_index)
        self.invoke = self._interpreter.invoke
        self.get_output = partial(self._interpreter.get_tensor, self._output_index)

    def resize(self, images: int) -> None:
        try:
            self._allocate(images)
        except (ValueError, RuntimeError) as error:
            self._allocate(self.images)
            raise UnsupportedModelError(f"This file does not take {images} images at once: {operator_line(error)}.") from None
        self.images = images

    def _allocate(self, images: int) -> None:
        self._interpreter.resize_tensor_input(self._input_index, (images, *self.input.shape[1:]))
        self._interpreter.allocate_tensors()
        answered = self._interpreter.get_output_details()[0]["shape"].tolist()
        if answered != [images, *self.output.shape[1:]]:
            raise ValueError(f"its answer would be {answered}")

    def inner_tensors(self) -> list[InnerTensor]:
        # With tensors kept, a delegate takes operators one by one: each is listed twice, as itself and as the delegate's.
        details = {tensor["index"]: tensor for tensor in self._interpreter.get_tensor_details()}
        written: dict[int, None] = {}
        for operator in self._interpreter._get_ops_details():
            if any(index in written or index == self._input_index for index in operator["inputs"]):  # else it only unpacks weights
                written |= dict.fromkeys(int(index) for index in operator["outputs"] if index >= 0)
        return [InnerTensor(details[i]["name"], self._interpreter.get_tensor(i), _spec(details[i]).quantization) for i in written]


def _interpreter(module: Any, opening: Opening) -> Any:
    resolver = module.OpResolverType
    kinds = {"default": resolver.AUTO, "builtin": resolver.BUILTIN_WITHOUT_DEFAULT_DELEGATES, "reference": resolver.BUILTIN_REF}
    try:
        with warnings.catch_warnings(action="ignore"):  # ai-edge-litert warns of the memory that keeping tensors takes
            interpreter = module.Interpreter(
                model_content=opening.content,
                num_threads=opening.threads,
                experimental_op_resolver_type=kinds[opening.kernels],
                experimental_preserve_all_tensors=opening.keep_tensors,
            )
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        runtime = opening.runtime
        raise UnsupportedModelError(f"{runtime.name} {runtime.version} cannot run this model: {operator_line(error)}.") from None
    return interpreter


def _spec(details: dict[str, Any]) -> TensorSpec:
    parameters = details["quantization_parameters"]
    dtype = np.dtype(details["dtype"]).name
    quantization = None
    if len(parameters["scales"]) == 1:
        quantization = Quantization(float(parameters["scales"][0]), int(parameters["zero_points"][0]), dtype)
    return TensorSpec(tuple(int(size) for size in details["shape"]), dtype, quantization)
