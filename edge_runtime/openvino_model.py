"""A model on OpenVINO's CPU plug-in, on which edgeproof's files are compared with NNCF's; no device is given it."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import numpy as np

from edge_runtime.errors import UnsupportedModelError, first_line
from edge_runtime.opened import InnerTensor, Opening, OpenModel, TensorSpec

GRAPH, WEIGHTS = "model.xml", "model.bin"  # in a `.openvino` file
_ZIP_MAGIC = b"PK\x03\x04"


class OpenVinoModel(OpenModel):
    """`module` is openvino, as imported. The content is a `.openvino` (see `export.openvino_file`) or an ONNX file, which OpenVINO reads, too."""

    def __init__(self, module: Any, opening: Opening) -> None:
        try:
            compiled = compile_model(module, opening.content, opening.threads)
        except (RuntimeError, zipfile.BadZipFile, KeyError) as error:
            raise UnsupportedModelError(f"{opening.runtime.name} {opening.runtime.version} cannot run this model: {first_line(error)}.") from None
        if len(compiled.inputs) != 1 or len(compiled.outputs) != 1:
            raise UnsupportedModelError(f"Expected one input and one output, got {len(compiled.inputs)} and {len(compiled.outputs)}.")
        super().__init__(opening, "CPU", _spec(compiled.inputs[0]), _spec(compiled.outputs[0]))
        request = compiled.create_infer_request()
        # Its tensors are filled and read in place: half the time of handing arrays over by `infer({0: batch})`.
        given, answered = request.get_input_tensor(0).data, request.get_output_tensor(0).data

        def set_input(batch: np.ndarray) -> None:
            given[:] = batch

        def invoke() -> None:
            request.infer(None, share_inputs=True, share_outputs=True)

        self.set_input, self.invoke, self.get_output = set_input, invoke, answered.copy

    def resize(self, images: int) -> None:
        if images != 1:
            raise UnsupportedModelError(f"This file takes 1 image at once, not {images}.")

    def inner_tensors(self) -> list[InnerTensor]:
        raise UnsupportedModelError("OpenVINO keeps no inner tensors.")


def compile_model(module: Any, content: bytes, threads: int) -> Any:
    """openvino.CompiledModel at batch 1 for single inferences on so many threads. Raises RuntimeError, BadZipFile or KeyError."""
    core = module.Core()
    if content.startswith(_ZIP_MAGIC):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            model = core.read_model(archive.read(GRAPH), archive.read(WEIGHTS))
    else:
        model = core.read_model(content)
    if model.input(0).partial_shape.is_dynamic:
        model.reshape([1, *model.input(0).partial_shape[1:]])
    return core.compile_model(model, "CPU", {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1})


def _spec(end: Any) -> TensorSpec:
    return TensorSpec(tuple(end.shape), np.dtype(end.get_element_type().to_dtype()).name, None)
