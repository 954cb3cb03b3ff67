"""Reading array files that may be damaged or somebody else's."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from edge_runtime.errors import InputError, first_line


def read_npz(path: Path, remedy: str) -> dict[str, np.ndarray]:
    """Every array of an `.npz`; InputError with the remedy when it is missing, damaged or something else. Never unpickles."""
    try:
        with path.open("rb") as file:  # opened here: numpy does not close one in which it finds no archive
            arrays = np.load(file, allow_pickle=False)
            if isinstance(arrays, np.ndarray):
                raise ValueError("one array, not an archive of arrays")
            with arrays:
                return dict(arrays)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        cause = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputError(f"Cannot read {path} ({cause}): {remedy}.") from None


def read_npy(path: Path, remedy: str) -> np.ndarray:
    """The array of an `.npy`, mapped; InputError with the remedy when it is missing, damaged or something else. Never unpickles."""
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError:
        raise InputError(f"No such file: {path}.") from None
    except Exception as error:  # on a damaged header numpy lets through whatever its tokenizer raises
        raise InputError(f"Cannot read {path} as an array ({first_line(error)}): {remedy}.") from None
