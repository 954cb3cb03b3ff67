"""Why an interpreter does not import on a machine, and what to do about it: one line each."""

from __future__ import annotations

import sys

import numpy as np

from edge_runtime.errors import RuntimeMissingError, first_line
from edge_runtime.foreign import foreign_library, this_place
from edge_runtime.machine import this_machine
from edge_runtime.runtimes import Runtime, numpy_too_new


def of_import(runtime: Runtime, error: ImportError | AttributeError) -> RuntimeMissingError:
    """What to say of an interpreter that does not import."""
    if not runtime.installed:
        return RuntimeMissingError(f"{runtime.name} is not installed{_remedy(runtime)}.")
    if numpy_too_new(runtime):
        wanted = f"numpy<{runtime.numpy_below}"
        return RuntimeMissingError(f"{runtime.name} needs {wanted}, this is numpy {np.__version__}: pip install '{wanted}', or use ai-edge-litert.")
    said = f"{runtime.name} is installed but does not import"
    foreign = foreign_library(runtime.package)
    if foreign:
        return RuntimeMissingError(f"{said}: {foreign}.")
    if "GLIBC" in str(error):
        return RuntimeMissingError(f"{said} ({first_line(error)}): it needs a newer system than {this_machine().libc}; use an older version of it.")
    if "cannot open shared object file" in str(error):
        return RuntimeMissingError(f"{said} ({first_line(error)}): a library of the system's is missing; install the package that has it.")
    return RuntimeMissingError(f"{said} ({first_line(error)}): install it again.")


def _remedy(runtime: Runtime) -> str:
    python = tuple(sys.version_info[:2])
    architecture = this_machine().architecture
    if runtime.newest_python and python > runtime.newest_python:
        return f", and has no wheels for Python {python[0]}.{python[1]}: use ai-edge-litert"
    if architecture not in runtime.architectures:
        other = "use tflite-runtime on Python 3.11" if architecture == "armv7l" else "use a board with a 64-bit system"
        return f", and has no wheels for {this_place()}: {other}"
    return f": pip install 'edgeproof[{runtime.extra}]'"
