"""The formats an artifact can have: what each is made from, how, and what it promises."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_runtime.errors import InputError, unknown_name

FOLDED, QAT = "folded", "qat"  # the models an artifact can be made from


@dataclass(frozen=True)
class Sources:
    """The Keras models of one workspace, loaded once for all formats."""

    folded: Any
    qat: Any
    float_twin: Any  # the folded network with the QAT-trained weights
    ranges: Mapping[str, tuple[float, float]]  # activation ranges that QAT learnt, by layer name
    calibration: np.ndarray  # float32 [N, H, W, C], normalized
    softmax: bool  # whether artifacts answer with probabilities rather than logits


def _tflite_float32(sources: Sources) -> bytes:
    from export import to_tflite

    return to_tflite.convert_float32(sources.folded, softmax=sources.softmax)


def _tflite_int8(sources: Sources) -> bytes:
    from export import to_tflite

    return to_tflite.convert_int8(sources.qat, sources.calibration, softmax=sources.softmax)


def _onnx_float32(sources: Sources) -> bytes:
    from export import to_onnx

    return to_onnx.convert_float32(sources.folded, softmax=sources.softmax)


def _onnx_int8(sources: Sources) -> bytes:
    from export import to_onnx

    return to_onnx.convert_int8(sources.float_twin, sources.ranges, sources.calibration, softmax=sources.softmax)


@dataclass(frozen=True)
class Format:
    """One exportable format. `convert` raises ModelError where the converter refuses the model."""

    name: str
    family: str  # "tflite" or "onnx"
    source: str  # FOLDED or QAT
    is_int8: bool  # promises that every operator is int8
    convert: Callable[[Sources], bytes]

    @property
    def kind(self) -> str:
        """What the command line calls it within its family: "int8" for "tflite-int8"."""
        return self.name.removeprefix(f"{self.family}-")

    @property
    def suffix(self) -> str:
        return f".{self.family}"

    @property
    def runtimes(self) -> tuple[str, ...]:
        """The runtimes an artifact of this format is claimed to load on."""
        return ("ai-edge-litert", "tflite-runtime") if self.family == "tflite" else ("onnxruntime",)


FORMATS: dict[str, Format] = {
    format.name: format
    for format in (
        Format("tflite-float32", "tflite", FOLDED, False, _tflite_float32),
        Format("tflite-int8", "tflite", QAT, True, _tflite_int8),
        Format("onnx-float32", "onnx", FOLDED, False, _onnx_float32),
        Format("onnx-int8", "onnx", QAT, True, _onnx_int8),
    )
}


FAMILIES = ("tflite", "onnx")


def choose_formats(family: str = "all", kinds: Sequence[str] = ()) -> list[Format]:
    """The formats of one family, of all, or one by its full name; only those of `kinds` ("int8", "float32") if any are given.

    Raises InputError with the nearest name for a family that does not exist, and for a kind that the family lacks.
    """
    if family not in (*FAMILIES, *FORMATS, "all"):
        raise unknown_name("format", family, (*FAMILIES, "all", *FORMATS))
    able = [format for format in FORMATS.values() if family in ("all", format.family, format.name)]
    for kind in kinds:
        if not any(format.kind == kind for format in able):
            raise InputError(f"There is no {family} format {kind!r}. Known: {', '.join(format.kind for format in able)}.")
    return [format for format in able if not kinds or format.kind in kinds]
