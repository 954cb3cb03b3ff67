"""An OpenVINO model as one file: its graph and its weights, which OpenVINO keeps in two, in a zip without compression."""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from edge_runtime.openvino_model import GRAPH, WEIGHTS

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same model gives the same bytes


def pack(model: Any) -> bytes:
    """The file of an openvino.Model, saved as its manual has it: float constants in 16 bits."""
    import openvino

    with tempfile.TemporaryDirectory(prefix="edgeproof-") as folder:
        openvino.save_model(model, Path(folder) / GRAPH)
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as writer:
            for name in (GRAPH, WEIGHTS):
                writer.writestr(zipfile.ZipInfo(name, _EPOCH), (Path(folder) / name).read_bytes())
    return archive.getvalue()
