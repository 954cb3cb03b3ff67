"""The programs that execute models: which there are, which of them are here.

Their modules are imported here and nowhere else, and only when one is opened: TensorFlow and tflite-runtime, for example, cannot live in
one process.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from edge_runtime.errors import RuntimeMissingError, UnsupportedModelError, unknown_name
from edge_runtime.onnx_model import OnnxModel
from edge_runtime.opened import Opening, OpenModel
from edge_runtime.tflite_model import TfliteModel


class Runtime(NamedTuple):
    """A program that executes models: where it is installed from, what it opens, for which machines there are wheels of it."""

    name: str
    module: str
    distribution: str
    suffix: str
    extra: str
    kernels: tuple[str, ...]
    open: Callable[[Any, Opening], OpenModel]
    architectures: tuple[str, ...] = ("x86_64", "aarch64")
    newest_python: tuple[int, int] | None = None
    numpy_below: int | None = None  # the first major version of numpy with which it does not work

    @property
    def package(self) -> str:
        return self.module.split(".")[0]

    @property
    def installed(self) -> bool:
        return importlib.util.find_spec(self.package) is not None

    @property
    def version(self) -> str:
        said = getattr(sys.modules.get(self.package), "__version__", None)
        if said:
            return str(said).split("-")[0]  # OpenVINO's goes on with its build, commit and branch
        import importlib.metadata  # takes ten times longer than opening a small model

        return importlib.metadata.version(self.distribution)


# ONNX Runtime 1.31 otherwise makes an identifier of the device and a database below ~/.cache/Microsoft whenever it is imported.
_NO_TELEMETRY = ("ORT_DISABLE_TELEMETRY", "1")
# OpenVINO 2026 sends usage reports, and leaves files in the home folder for it, unless it believes to be in a CI job.
_NO_REPORTS = ("CI", "true")
_TFLITE_KERNELS = ("default", "builtin", "reference")


def _open_openvino(module: Any, opening: Opening) -> OpenModel:
    from edge_runtime.openvino_model import OpenVinoModel  # no device has it: none should wait for it

    return OpenVinoModel(module, opening)


# In order of preference for "auto": the maintained runtime first.
RUNTIMES: dict[str, Runtime] = {
    runtime.name: runtime
    for runtime in (
        Runtime("ai-edge-litert", "ai_edge_litert.interpreter", "ai-edge-litert", ".tflite", "litert", _TFLITE_KERNELS, TfliteModel),
        Runtime(
            "tflite-runtime",
            "tflite_runtime.interpreter",
            "tflite-runtime",
            ".tflite",
            "tflite",
            _TFLITE_KERNELS,
            TfliteModel,
            architectures=("x86_64", "aarch64", "armv7l"),
            newest_python=(3, 11),
            numpy_below=2,
        ),
        Runtime("onnxruntime", "onnxruntime", "onnxruntime", ".onnx", "check", ("default",), OnnxModel),
    )
}

# Only what edgeproof is compared with runs on these; they open nothing unless they are named.
PEER_RUNTIMES: dict[str, Runtime] = {"openvino": Runtime("openvino", "openvino", "openvino", ".openvino", "peers", ("default",), _open_openvino)}


def find_runtime(name: str) -> Runtime:
    """The runtime called `name`; InputError with the nearest name when there is none."""
    known = {**RUNTIMES, **PEER_RUNTIMES}
    if name not in known:
        raise unknown_name("runtime", name, known)
    return known[name]


def import_for(name: str, suffix: str) -> tuple[Runtime, Any]:
    """The runtime called `name`, or for "auto" the first that opens `suffix` files and really imports; and its module."""
    if name != "auto":
        runtime = find_runtime(name)
        if runtime.suffix != suffix:
            raise UnsupportedModelError(f"{name} opens {runtime.suffix} files, this is a {suffix} file.")
        return runtime, import_runtime(runtime)
    able = [runtime for runtime in RUNTIMES.values() if runtime.suffix == suffix]
    broken = []
    for runtime in able:
        if runtime.installed:
            try:
                return runtime, import_runtime(runtime)
            except RuntimeMissingError as error:
                broken.append(str(error))
    if broken:
        raise RuntimeMissingError(f"No runtime for {suffix} files works here. {' '.join(broken)}")
    raise RuntimeMissingError(f"No runtime for {suffix} files is installed: pip install 'edgeproof[{able[0].extra}]'.")


def import_runtime(runtime: Runtime) -> Any:
    """The interpreter's module; RuntimeMissingError with the cause and the remedy when it cannot be imported."""
    try:
        if numpy_too_new(runtime):
            raise ImportError(f"numpy {np.__version__}")
        os.environ.setdefault(*_NO_TELEMETRY)
        if runtime.name in PEER_RUNTIMES:
            os.environ.setdefault(*_NO_REPORTS)
        return importlib.import_module(runtime.module)
    except (ImportError, AttributeError) as error:
        from edge_runtime.causes import of_import  # only who fails pays for it

        raise of_import(runtime, error) from None


def numpy_too_new(runtime: Runtime) -> bool:
    """Asked beforehand: built against numpy 1, tflite-runtime fails at import or only at Interpreter(), and never says why."""
    return runtime.numpy_below is not None and int(np.__version__.split(".")[0]) >= runtime.numpy_below
