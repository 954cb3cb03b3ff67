"""A parity report of real answers for the tests of what reports it: the tiny classifier on every runtime and kernels, one artifact damaged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.dashboard import render
from benchmarks.matrix import Artifact, cells, collect
from benchmarks.outputs import Outputs
from benchmarks.page.subject import Subject, Validation
from benchmarks.parity import Reference, judge
from benchmarks.targets import find_target

MARGIN_PP = 5.0  # what 96 images can certify
SENTENCE = "lost between folded and tflite-int8, where conv2d falls from 40 to 2 dB"
_FORMATS = ("tflite-float32", "tflite-int8", "onnx-float32")


@dataclass(frozen=True)
class Judged:
    """Outputs and what was said of them."""

    outputs: Sequence[Outputs]
    validation: Validation
    parity: dict[str, Any]  # the fields of parity.json
    manifest: dict[str, Any]

    def page(self, **changes: Any) -> str:
        """The dashboard of it; `changes` replace what it is made from."""
        made_from: dict[str, Any] = {"parity": self.parity, "manifest": self.manifest, "dataset": {"class_names": ["a", "b", "c"]}, "training": {}}
        made_from |= {"validation": self.validation, "outputs": self.outputs.__getitem__, **changes}
        return render([Subject(name="tiny", option="", **made_from)])

    def confusion_change(self, row: int) -> np.ndarray:
        """int64 [classes, classes]: the export's confusion matrix minus the baseline's, counted anew."""
        export, classes = self.outputs[row].labels, self.validation.baseline.shape[1]
        change = np.zeros((classes, classes), np.int64)
        truth = self.validation.labels[: len(export)]
        np.add.at(change, (truth, export), 1)
        np.subtract.at(change, (truth, self.validation.baseline[: len(export)].argmax(axis=1)), 1)
        return change


@pytest.fixture(scope="session")
def tiny_judged(tiny_artifacts: dict[str, Path], tiny_images: np.ndarray) -> Judged:
    """Three formats; the int8 one gives random answers on every third image, wherever it runs; onnxruntime is said to be missing."""
    chosen = [tiny_artifacts[format] for format in _FORMATS]
    artifacts = [Artifact(path, format, "folded", "ab" * 32, (), path.stat().st_size) for format, path in zip(_FORMATS, chosen, strict=True)]
    outputs = [_damaged(answers) for answers in collect(cells(artifacts), tiny_images, find_target("local"))]
    truth = next(answers for answers in outputs if answers.format == "tflite-float32" and answers.kernels == "default")
    labels = np.where(np.arange(len(tiny_images)) % 16 == 5, (truth.labels + 1) % 3, truth.labels)
    reference = Reference(labels, truth.probabilities, {"folded": truth.probabilities})
    parity = judge(reference, outputs, margin_pp=MARGIN_PP, baseline_sha256="cd" * 32).to_dict()
    facts = {artifact.path.name: {name: getattr(artifact, name) for name in ("format", "bytes", "sha256")} for artifact in artifacts}
    return Judged(outputs, Validation(tiny_images, labels, truth.probabilities), parity, {"artifacts": facts})


def _damaged(answers: Outputs) -> Outputs:
    if answers.runtime == "onnxruntime":
        return replace(answers, raw=None, claimed=False, reason="onnxruntime is not installed: pip install 'edgeproof[onnx]'")
    if answers.format != "tflite-int8":
        return answers
    raw = answers.answered.copy()
    raw[::3] = np.random.default_rng(0).integers(-128, 128, raw[::3].shape)
    return replace(answers, raw=raw)


def with_layers(parity: dict[str, Any]) -> dict[str, Any]:
    """The same with a per-layer table and a suspect for each row that fails, as a report with per-layer tables has them."""
    layers: list[dict[str, Any]] = []
    suspects, rows = [], []
    for index, row in enumerate(parity["rows"]):
        failing = row["verdict"] == "FAIL"
        rows.append({**row, "reason": f"{row['reason']}; {SENTENCE}"} if failing else row)
        if failing:
            for name, snr, saturated, fall in (("input", None, 0.0, None), ("conv2d", 2.5, 0.213, 37.6), ("dense", -1.0, 0.0, 3.5)):
                layers.append({"row": index, "layer": name, "snr_db": snr, "saturated": saturated, "fall_db": fall})
            hop = {"from": "folded", "to": row["artifact"]}
            suspects.append({"row": index, "hop": hop, "layer": "conv2d", "snr_before_db": 40.1, "snr_db": 2.5, "sentence": SENTENCE})
    return {**parity, "rows": rows, "layers": layers, "suspects": suspects}
