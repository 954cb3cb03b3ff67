"""An `.onnx` on ONNX Runtime's CPU provider."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_runtime.errors import UnsupportedModelError, operator_line
from edge_runtime.opened import InnerTensor, Opening, OpenModel, TensorSpec

_SILENT = 4  # ONNX Runtime's log level "fatal"


class OnnxModel(OpenModel):
    """`module` is onnxruntime, as imported."""

    def __init__(self, module: Any, opening: Opening) -> None:
        self._module, self._session = module, _session(module, opening)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or (len(outputs) != 1 and not opening.keep_tensors and not opening.part):
            raise UnsupportedModelError(f"Expected one input and one output, got {len(inputs)} and {len(outputs)}: not a classifier.")
        super().__init__(opening, "CPUExecutionProvider", _spec(inputs[0]), _spec(inputs[0] if opening.part else outputs[0]))
        self._open_batch = not isinstance(inputs[0].shape[0], int) if inputs[0].shape else False
        self._input_name, self._output_names = inputs[0].name, [output.name for output in outputs]
        self._feed: dict[str, np.ndarray] = {}
        self._results: list[np.ndarray] = []
        self.set_input, self.invoke, self.get_output = self._set_input, self._invoke, self._get_output

    def _set_input(self, batch: np.ndarray) -> None:
        self._feed = {self._input_name: batch}

    def _invoke(self) -> None:
        self._results = self._session.run(self._output_names, self._feed)

    def _get_output(self) -> np.ndarray:
        return self._results[0]

    def resize(self, images: int) -> None:
        if images > 1:
            self._try(images)
        self.images = images

    def _try(self, images: int) -> None:
        """A batch that is open at the model's ends may still be baked into a Reshape between them: only a run tells."""
        if not self._open_batch:
            raise UnsupportedModelError(f"This file takes {self.input.shape[0]} image at once, not {images}.")
        quiet = self._module.RunOptions()
        quiet.log_severity_level = _SILENT
        blank = np.zeros((images, *self.input.shape[1:]), self.input.dtype)
        try:
            answered = self._session.run(self._output_names[:1], {self._input_name: blank}, quiet)[0].shape
        except Exception as error:  # onnxruntime's errors share no public base class
            raise UnsupportedModelError(f"This file does not take {images} images at once: {operator_line(error)}.") from None
        if answered != (images, *self.output.shape[1:]):
            raise UnsupportedModelError(f"This file does not take {images} images at once: its answer would be {list(answered)}.")

    def inner_tensors(self) -> list[InnerTensor]:
        # ONNX Runtime keeps nothing but outputs; what their integers stand for is known to whoever added them.
        return [InnerTensor(name, values, None) for name, values in zip(self._output_names, self._results, strict=True)]


def write_optimized(module: Any, content: bytes, path: str) -> None:
    """Write the graph that is run when this model is opened: fused, and laid out for this machine's processor. `module` is onnxruntime."""
    options = module.SessionOptions()
    options.optimized_model_filepath = path
    options.log_severity_level = _SILENT  # it warns that the file is for this machine, which is what is wanted
    try:
        module.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no public base class
        raise UnsupportedModelError(f"onnxruntime cannot run this model: {operator_line(error)}.") from None


def _session(module: Any, opening: Opening) -> Any:
    options = module.SessionOptions()
    options.intra_op_num_threads = opening.threads  # by default it takes every core and spins
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if opening.part:  # of a graph that was optimized as a whole
        options.graph_optimization_level = module.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return module.InferenceSession(opening.content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no public base class
        runtime = opening.runtime
        raise UnsupportedModelError(f"{runtime.name} {runtime.version} cannot run this model: {operator_line(error)}.") from None


def _spec(argument: Any) -> TensorSpec:
    dtypes = {"tensor(float)": "float32", "tensor(uint8)": "uint8", "tensor(int8)": "int8"}
    if argument.type not in dtypes:
        raise UnsupportedModelError(f"Expected float or 8-bit tensors at the model's ends, got {argument.type}.")
    shape = tuple(size if isinstance(size, int) else 1 for size in argument.shape)  # a symbolic batch runs at 1
    return TensorSpec(shape, dtypes[argument.type], None)
