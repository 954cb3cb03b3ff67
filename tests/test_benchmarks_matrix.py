"""Which lines the matrix has, and on how many images each runs."""

from __future__ import annotations

from pathlib import Path

from benchmarks.matrix import REFERENCE_IMAGES, Artifact, cells


def test_reference_kernels_run_on_the_first_images_and_the_others_on_all() -> None:
    artifacts = [Artifact(Path(f"a-{format}.tflite"), format, "folded", "", ("ai-edge-litert",), 1) for format in ("tflite-int8", "tflite-int16x8")]
    asked = {(cell.artifact.format, cell.kernels): cell.images for cell in cells(artifacts)}
    assert asked == {
        (format, kernels): REFERENCE_IMAGES if kernels == "reference" else None
        for format in ("tflite-int8", "tflite-int16x8")
        for kernels in ("default", "builtin", "reference")
    }
