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
    is_int8: bool  # promises that every operator is int8
    usual: bool  # exported when a family is asked for without naming formats
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
        Format("tflite-float32", "tflite", FOLDED, False, True, _tflite_float32),
        Format("tflite-float16", "tflite", FOLDED, False, False, _tflite_float16),
        Format("tflite-dynamic", "tflite", FOLDED, False, False, _tflite_dynamic),
        Format("tflite-int8", "tflite", QAT, True, True, _tflite_int8),
        Format("tflite-int8-ptq", "tflite", FOLDED, True, False, _tflite_int8_ptq),
        Format("tflite-int16x8", "tflite", FOLDED, False, False, _tflite_int16x8),
        Format("onnx-float32", "onnx", FOLDED, False, True, _onnx_float32),
        Format("onnx-int8", "onnx", QAT, True, True, _onnx_int8),
    )
}


FAMILIES = ("tflite", "onnx")


def usual_formats() -> list[Format]:
    """What `edgeproof run` exports: float32 and int8 of each family."""
    return [format for format in FORMATS.values() if format.usual]


def choose_formats(family: str = "all", kinds: Sequence[str] = ()) -> list[Format]:
    """The usual formats of a family, every one for "all", or one by its full name; exactly those of `kinds` ("int8", "float16") if any are given.

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
    return [format for format in able if format.usual] if family in FAMILIES else able
