"""Which lines the matrix has, and on how many images each runs."""

from __future__ import annotations

from pathlib import Path

from benchmarks.matrix import REFERENCE_IMAGES, Artifact, cells


def artifact(format: str, *, diagnostic: bool = False) -> Artifact:
    return Artifact(Path(f"a-{format}.tflite"), format, "folded", "", ("ai-edge-litert", "tflite-runtime"), 1, diagnostic=diagnostic)


def test_what_only_diagnoses_runs_on_the_first_images() -> None:
    matrix = cells([artifact("tflite-int8"), artifact("tflite-int16x8", diagnostic=True)])
    asked = {(cell.artifact.format, cell.kernels): cell.images for cell in matrix}
    assert asked == {
        ("tflite-int8", "default"): None,
        ("tflite-int8", "builtin"): None,
        ("tflite-int8", "reference"): REFERENCE_IMAGES,
        **{("tflite-int16x8", kernels): REFERENCE_IMAGES for kernels in ("default", "builtin", "reference")},
    }


def test_a_diagnostic_format_alone_is_judged_on_all_images() -> None:
    matrix = cells([artifact("tflite-int16x8", diagnostic=True)], runtimes=["tflite-runtime"], kernels=["default"])
    assert [cell.images for cell in matrix] == [None]
