"""The forms of one network (baseline, folded, QAT, every export) held beside each other, image by image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.outputs import Outputs


@dataclass(frozen=True)
class Form:
    """What one form answered to the first n validation images."""

    name: str
    probabilities: np.ndarray  # float [n, classes]
    labels: np.ndarray  # int64 [n], as this form decides: ties are settled in its own numbers

    def first(self, images: int) -> Form:
        return Form(self.name, self.probabilities[:images], self.labels[:images])


def keras_form(name: str, probabilities: np.ndarray) -> Form:
    return Form(name, probabilities, probabilities.argmax(axis=1))


def export_form(answers: Outputs) -> Form:
    """Under a name that tells this row from all others."""
    kernels = "" if answers.kernels == "default" else f" ({answers.kernels} kernels)"
    target = "" if answers.target == "local" else f" at {answers.target}"
    return Form(f"{answers.artifact} on {answers.runtime}{kernels}{target}", answers.probabilities, answers.labels)


def flip_counts(labels: np.ndarray, before: Form, after: Form) -> tuple[int, int]:
    """(broken, fixed), of as many images as `after` saw."""
    was_right, is_right = (form.labels[: len(after.labels)] == labels[: len(after.labels)] for form in (before, after))
    return int((was_right & ~is_right).sum()), int((~was_right & is_right).sum())


def agreement_matrix(forms: Sequence[Form]) -> dict[str, Any]:
    """Share of images on which each pair gives the same top-1; of the first images, where one of them saw only those."""
    return {"names": [form.name for form in forms], "values": [[_agreement(a.labels, b.labels) for b in forms] for a in forms]}


def _agreement(a: np.ndarray, b: np.ndarray) -> float:
    common = min(len(a), len(b))
    return float((a[:common] == b[:common]).mean())


def recall_changes(labels: np.ndarray, baseline: Form, export: Form, row: int) -> Iterator[dict[str, Any]]:
    """Recall of each class before and after, for the export of that row."""
    for label in range(baseline.probabilities.shape[1]):
        members = np.flatnonzero(labels[: len(export.labels)] == label)
        if members.size:
            before, after = (float((form.labels[members] == label).mean()) for form in (baseline, export))
            yield {"row": row, "class": label, "baseline_recall": before, "export_recall": after, "change_pp": 100 * (after - before)}


def flips(labels: np.ndarray, baseline: Form, export: Form, row: int) -> Iterator[dict[str, Any]]:
    """Every image whose answer changed: `index` counts within the validation part."""
    for i in np.flatnonzero(export.labels != baseline.labels[: len(export.labels)]):
        yield {"index": int(i), "label": int(labels[i]), "baseline": int(baseline.labels[i]), "export": int(export.labels[i]), "row": row}
