"""The formats an artifact can have: what each is made from, how, and what it promises."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_runtime.errors import InputError, ModelError, unknown_name

FOLDED, QAT = "folded", "qat"  # the models an artifact can be made from


@dataclass(frozen=True)
class Trained:
    """What quantization-aware training left."""

    model: Any
    float_twin: Any  # the folded network with the QAT-trained weights
    ranges: Mapping[str, tuple[float, float]]  # activation ranges that it learnt, by layer name


@dataclass(frozen=True)
class Sources:
    """The Keras models of one workspace, loaded once for all formats."""

    folded: Any
    calibration: np.ndarray  # float32 [N, H, W, C], normalized
    softmax: bool  # whether artifacts answer with probabilities rather than logits
    trained: Trained | None  # None when no format asked for it, or when the network cannot be quantized
    why_not_trained: str = ""
    mixed: bytes | None = None  # what the search for mixed precision came to

    @property
    def qat(self) -> Trained:
        """ModelError when there is none."""
        if self.trained is None:
            raise ModelError(self.why_not_trained)
        return self.trained


def _tflite_float32(sources: Sources) -> bytes:
    from export import to_tflite

    return to_tflite.convert_float32(sources.folded, softmax=sources.softmax)


def _tflite_float16(sources: Sources) -> bytes:
    from export import to_tflite

    return to_tflite.convert_float16(sources.folded, softmax=sources.softmax)


def _tflite_dynamic(sources: Sources) -> bytes:
    from export import to_tflite

    return to_tflite.convert_dynamic(sources.folded, softmax=sources.softmax)


def _tflite_int8(sources: Sources) -> bytes:
    from export import to_tflite

    return to_tflite.convert_int8(sources.qat.model, sources.calibration, softmax=sources.softmax)


def _tflite_int8_ptq(sources: Sources) -> bytes:
    from export import to_tflite

    return to_tflite.convert_int8(sources.folded, sources.calibration, softmax=sources.softmax)


def _tflite_int16x8(sources: Sources) -> bytes:
    from export import to_tflite

    return to_tflite.convert_int16x8(sources.folded, sources.calibration, softmax=sources.softmax)


def _tflite_mixed(sources: Sources) -> bytes:
    if sources.mixed is None:
        raise ModelError("No mixed-precision file was searched for: run `edgeproof export tflite --mixed`.")
    return sources.mixed


def _onnx_float32(sources: Sources) -> bytes:
    from export import to_onnx

    return to_onnx.convert_float32(sources.folded, softmax=sources.softmax)


def _onnx_int8(sources: Sources) -> bytes:
    from export import to_onnx

    trained = sources.qat
    return to_onnx.convert_int8(trained.float_twin, trained.ranges, sources.calibration, softmax=sources.softmax)


@dataclass(frozen=True)
class Format:
    """One exportable format. `convert` raises ModelError where the converter refuses the model."""

    name: str
    family: str  # "tflite" or "onnx"
    source: str  # FOLDED or QAT
    convert: Callable[[Sources], bytes]
    is_int8: bool = False  # promises that every operator is int8
    usual: bool = False  # exported when a family is asked for without naming formats
    searched: bool = False  # found by a search that takes minutes: only exported when it is named

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
        Format("tflite-float32", "tflite", FOLDED, _tflite_float32, usual=True),
        Format("tflite-float16", "tflite", FOLDED, _tflite_float16),
        Format("tflite-dynamic", "tflite", FOLDED, _tflite_dynamic),
        Format("tflite-int8", "tflite", QAT, _tflite_int8, is_int8=True, usual=True),
        Format("tflite-int8-ptq", "tflite", FOLDED, _tflite_int8_ptq, is_int8=True),
        Format("tflite-int16x8", "tflite", FOLDED, _tflite_int16x8),
        Format("tflite-mixed", "tflite", QAT, _tflite_mixed, searched=True),
        Format("onnx-float32", "onnx", FOLDED, _onnx_float32, usual=True),
        Format("onnx-int8", "onnx", QAT, _onnx_int8, is_int8=True, usual=True),
    )
}


FAMILIES = ("tflite", "onnx")


def usual_formats() -> list[Format]:
    """What `edgeproof run` exports: float32 and int8 of each family."""
    return [format for format in FORMATS.values() if format.usual]


def choose_formats(family: str = "all", kinds: Sequence[str] = ()) -> list[Format]:
    """The usual formats of a family, every one that needs no search for "all", or one by its full name.

    With `kinds` ("int8", "float16"), exactly those of them.

    Raises InputError with the nearest name for a family that does not exist, and for a kind that the family lacks.
    """
    if family not in (*FAMILIES, *FORMATS, "all"):
        raise unknown_name("format", family, (*FAMILIES, "all", *FORMATS))
    able = [format for format in FORMATS.values() if family in ("all", format.family, format.name)]
    for kind in kinds:
        if not any(format.kind == kind for format in able):
            raise InputError(f"There is no {family} format {kind!r}. Known: {', '.join(format.kind for format in able)}.")
    if kinds:
        return [format for format in able if format.kind in kinds]
    if family == "all":
        return [format for format in able if not format.searched]
    return [format for format in able if format.usual] if family in FAMILIES else able
