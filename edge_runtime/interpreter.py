"""One way to open a model, whichever program executes it.

    model = open_model("digits-tflite-int8.tflite", runtime="tflite-runtime", threads=1)
    model.set_input(model.input.quantization.quantize(x)); model.invoke(); y = model.get_output()

This is the only file that imports an interpreter, and it does so only when one is opened: TensorFlow and tflite-runtime, for example,
cannot live in one process.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from edge_runtime.errors import InputError, RuntimeMissingError, UnsupportedModelError, operator_line, unknown_name
from edge_runtime.metadata import ONNX_KEY, ModelMetadata, read_tflite_metadata
from edge_runtime.signature import check_model
from edge_runtime.tensors import Quantization

_TFLITE_RUNTIME_LAST = 11  # the minor version of the newest Python that it has wheels for


@dataclass(frozen=True)
class TensorSpec:
    """Shape and number type of a model's input or output. `quantization` is None for float tensors."""

    shape: tuple[int, ...]
    dtype: str
    quantization: Quantization | None


@dataclass(frozen=True)
class InnerTensor:
    """What one operator wrote for one image, in the model's own number type. `name` holds the path of its Keras layer."""

    name: str
    values: np.ndarray
    quantization: Quantization | None


class OpenModel(Protocol):
    """A model ready to run, batch 1. Input and output are in the model's own number type."""

    runtime: str
    runtime_version: str
    kernels: str
    threads: int
    delegate: str  # "XNNPACK", "none", or the execution provider
    input: TensorSpec
    output: TensorSpec
    metadata: ModelMetadata | None

    def set_input(self, batch: np.ndarray) -> None: ...

    def invoke(self) -> None: ...

    def get_output(self) -> np.ndarray: ...

    def inner_tensors(self) -> list[InnerTensor]:
        """What every operator made of the input, after `invoke`, in the network's order; only of a model opened with `keep_tensors`."""
        ...


@dataclass(frozen=True)
class Runtime:
    """A program that executes models: where it is installed from, what it opens."""

    name: str
    module: str
    distribution: str
    suffix: str
    extra: str
    kernels: tuple[str, ...]
    open: Callable[[Runtime, bytes, str, int, bool], OpenModel]

    @property
    def installed(self) -> bool:
        try:
            return importlib.util.find_spec(self.module) is not None
        except ModuleNotFoundError:  # the parent package is missing
            return False

    @property
    def version(self) -> str:
        return importlib.metadata.version(self.distribution)


def open_model(
    model: str | Path | bytes, *, runtime: str = "auto", kernels: str = "default", threads: int = 1, keep_tensors: bool = False
) -> OpenModel:
    """Open a `.tflite` or `.onnx` from a path or from its bytes.

    runtime: a name in RUNTIMES, or "auto" for the first one installed that reads this kind of file.
    kernels: "default", "builtin" (no delegate) or "reference" (slow and simple; TFLite only).
    keep_tensors: for `inner_tensors`; a `.tflite` then needs memory for all of them at once, an `.onnx` may have further outputs.
    Raises InputError (no such file, not a model), RuntimeMissingError, UnsupportedModelError.
    """
    content = model if isinstance(model, bytes) else read_model_file(Path(model))
    check_model(content)
    chosen = choose_runtime(runtime, model_suffix(content, str(model) if not isinstance(model, bytes) else "the model"))
    if kernels not in chosen.kernels:
        raise InputError(f"{chosen.name} has no {kernels!r} kernels. Known: {', '.join(chosen.kernels)}.")
    if threads < 1:
        raise InputError(f"Expected threads to be at least 1, got {threads}.")
    return chosen.open(chosen, content, kernels, threads, keep_tensors)


def read_model_file(path: Path) -> bytes:
    """The bytes of a model file; InputError when there is none."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"Cannot read model {path}: {error.strerror}.") from None


def model_suffix(content: bytes, name: str) -> str:
    """ ".tflite" or ".onnx", told by the bytes, not by the file's name. InputError for anything else."""
    if content[4:8] == b"TFL3":
        return ".tflite"
    if len(content) > 64 and content[:1] == b"\x08" and 3 <= content[1] <= 20:  # protobuf: ir_version comes first
        return ".onnx"
    raise InputError(f"{name} is neither a TFLite nor an ONNX model.")


def find_runtime(name: str) -> Runtime:
    """The runtime called `name`; InputError with the nearest name when there is none."""
    if name not in RUNTIMES:
        raise unknown_name("runtime", name, RUNTIMES)
    return RUNTIMES[name]


def choose_runtime(name: str, suffix: str) -> Runtime:
    """The runtime called `name`, or the first installed one that opens `suffix` files for "auto"."""
    if name != "auto":
        runtime = find_runtime(name)
        if runtime.suffix != suffix:
            raise UnsupportedModelError(f"{name} opens {runtime.suffix} files, this is a {suffix} file.")
        return runtime
    able = [runtime for runtime in RUNTIMES.values() if runtime.suffix == suffix]
    for runtime in able:
        if runtime.installed:
            return runtime
    raise RuntimeMissingError(f"No runtime for {suffix} files is installed: pip install 'edgeproof[{able[0].extra}]'.")


def import_runtime(runtime: Runtime) -> Any:
    """The interpreter's module; RuntimeMissingError with the cause and the remedy when it cannot be imported."""
    try:
        return importlib.import_module(runtime.module)
    except ModuleNotFoundError:
        raise RuntimeMissingError(f"{runtime.name} is not installed{_remedy(runtime)}.") from None
    except (ImportError, AttributeError) as error:
        raise RuntimeMissingError(f"{runtime.name} is installed but does not import ({error}){_numpy_remedy(runtime)}.") from None


def _remedy(runtime: Runtime) -> str:
    minor = sys.version_info[1]
    if runtime.name == "tflite-runtime" and minor > _TFLITE_RUNTIME_LAST:
        return f", and has no wheels for Python 3.{minor}: use ai-edge-litert"
    return f": pip install 'edgeproof[{runtime.extra}]'"


def _numpy_remedy(runtime: Runtime) -> str:
    # Built against numpy 1: with numpy 2 it fails at import or at Interpreter(), never saying why.
    return ": it needs numpy<2" if runtime.name == "tflite-runtime" and int(np.__version__.split(".")[0]) > 1 else ""


class TfliteModel:
    """A `.tflite` on ai-edge-litert or tflite-runtime, which share one Python interface."""

    invoke: Callable[[], None]  # the interpreter's own method: nothing of ours between the caller and it

    def __init__(self, runtime: Runtime, content: bytes, kernels: str, threads: int, keep_tensors: bool) -> None:
        module = import_runtime(runtime)
        resolver = module.OpResolverType
        kinds = {"default": resolver.AUTO, "builtin": resolver.BUILTIN_WITHOUT_DEFAULT_DELEGATES, "reference": resolver.BUILTIN_REF}
        try:
            with warnings.catch_warnings(action="ignore"):  # ai-edge-litert warns of the memory that keeping tensors takes
                self._interpreter = module.Interpreter(
                    model_content=content,
                    num_threads=threads,
                    experimental_op_resolver_type=kinds[kernels],
                    experimental_preserve_all_tensors=keep_tensors,
                )
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise UnsupportedModelError(f"{runtime.name} {runtime.version} cannot run this model: {operator_line(error)}.") from None
        except SystemError as error:
            raise RuntimeMissingError(f"{runtime.name} does not work here ({error}){_numpy_remedy(runtime)}.") from None
        inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        if len(inputs) != 1 or len(outputs) != 1:
            raise UnsupportedModelError(f"Expected one input and one output, got {len(inputs)} and {len(outputs)}: not a classifier.")
        self.runtime, self.runtime_version, self.kernels, self.threads = runtime.name, runtime.version, kernels, threads
        self.input, self.output = _tflite_spec(inputs[0]), _tflite_spec(outputs[0])
        self.delegate = "XNNPACK" if any(op["op_name"] == "DELEGATE" for op in self._interpreter._get_ops_details()) else "none"
        self.metadata = read_tflite_metadata(content)
        self._input_index, self._output_index = inputs[0]["index"], outputs[0]["index"]
        self.invoke = self._interpreter.invoke

    def set_input(self, batch: np.ndarray) -> None:
        self._interpreter.set_tensor(self._input_index, batch)

    def get_output(self) -> np.ndarray:
        return self._interpreter.get_tensor(self._output_index)

    def inner_tensors(self) -> list[InnerTensor]:
        # With tensors kept, a delegate takes operators one by one: each is listed twice, as itself and as the delegate's.
        details = {tensor["index"]: tensor for tensor in self._interpreter.get_tensor_details()}
        written: dict[int, None] = {}
        for operator in self._interpreter._get_ops_details():
            if any(index in written or index == self._input_index for index in operator["inputs"]):  # else it only unpacks weights
                written |= dict.fromkeys(int(index) for index in operator["outputs"] if index >= 0)
        return [InnerTensor(details[i]["name"], self._interpreter.get_tensor(i), _tflite_spec(details[i]).quantization) for i in written]


def _tflite_spec(details: dict[str, Any]) -> TensorSpec:
    parameters = details["quantization_parameters"]
    dtype = np.dtype(details["dtype"]).name
    quantization = None
    if len(parameters["scales"]) == 1:
        quantization = Quantization(float(parameters["scales"][0]), int(parameters["zero_points"][0]), dtype)
    return TensorSpec(tuple(int(size) for size in details["shape"]), dtype, quantization)


class OnnxModel:
    """An `.onnx` on ONNX Runtime's CPU provider."""

    def __init__(self, runtime: Runtime, content: bytes, kernels: str, threads: int, keep_tensors: bool) -> None:
        onnxruntime = import_runtime(runtime)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads  # by default it takes every core and spins
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors share no public base class
            raise UnsupportedModelError(f"{runtime.name} {runtime.version} cannot run this model: {operator_line(error)}.") from None
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or (len(outputs) != 1 and not keep_tensors):
            raise UnsupportedModelError(f"Expected one input and one output, got {len(inputs)} and {len(outputs)}: not a classifier.")
        self.runtime, self.runtime_version, self.kernels, self.threads = runtime.name, runtime.version, kernels, threads
        self.delegate = "CPUExecutionProvider"
        self.input, self.output = _onnx_spec(inputs[0]), _onnx_spec(outputs[0])
        text = self._session.get_modelmeta().custom_metadata_map.get(ONNX_KEY)
        self.metadata = ModelMetadata.from_json(text) if text else None
        self._input_name, self._output_names = inputs[0].name, [output.name for output in outputs]
        self._feed: dict[str, np.ndarray] = {}
        self._results: list[np.ndarray] = []

    def set_input(self, batch: np.ndarray) -> None:
        self._feed = {self._input_name: batch}

    def invoke(self) -> None:
        self._results = self._session.run(self._output_names, self._feed)

    def get_output(self) -> np.ndarray:
        return self._results[0]

    def inner_tensors(self) -> list[InnerTensor]:
        # ONNX Runtime keeps nothing but outputs; what their integers stand for is known to whoever added them.
        return [InnerTensor(name, values, None) for name, values in zip(self._output_names, self._results, strict=True)]


def _onnx_spec(argument: Any) -> TensorSpec:
    dtypes = {"tensor(float)": "float32", "tensor(uint8)": "uint8", "tensor(int8)": "int8"}
    if argument.type not in dtypes:
        raise UnsupportedModelError(f"Expected float or 8-bit tensors at the model's ends, got {argument.type}.")
    shape = tuple(size if isinstance(size, int) else 1 for size in argument.shape)  # a symbolic batch runs at 1
    return TensorSpec(shape, dtypes[argument.type], None)


_TFLITE_KERNELS = ("default", "builtin", "reference")

# In order of preference for "auto": the maintained runtime first.
RUNTIMES: dict[str, Runtime] = {
    runtime.name: runtime
    for runtime in (
        Runtime("ai-edge-litert", "ai_edge_litert.interpreter", "ai-edge-litert", ".tflite", "litert", _TFLITE_KERNELS, TfliteModel),
        Runtime("tflite-runtime", "tflite_runtime.interpreter", "tflite-runtime", ".tflite", "tflite", _TFLITE_KERNELS, TfliteModel),
        Runtime("onnxruntime", "onnxruntime", "onnxruntime", ".onnx", "check", ("default",), OnnxModel),
    )
}
