"""What changed from class to class, and how far any two forms agree: `parity.json` put together for the dashboard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.reports.wording import labels, percent, shortened, subjects, where

MAX_CLASSES = 20  # more do not fit on a page: then those with the most changes
MAX_FORMS = 60  # in the agreement matrix; beyond, only those with default kernels


def class_changes(parity: Mapping[str, Any], truth: np.ndarray, classes: int) -> list[dict[str, Any]]:
    """For each row that gave answers, what the page's script draws; `truth` is int64 [n], the labels of the validation images.

    `cells` is [true, predicted, change]: the export's confusion matrix minus the baseline's, in images, without the zeros.
    `recall` is [class, images, before, after].
    """
    names, judged = labels(parity), _judged(parity)
    cells: dict[int, Counter[tuple[int, int]]] = {row: Counter() for row in judged}
    for flip in parity["flips"]:
        cells[flip["row"]].update({(flip["label"], flip["export"]): 1})
        cells[flip["row"]].subtract({(flip["label"], flip["baseline"]): 1})
    recall: dict[int, list[Mapping[str, Any]]] = {row: [] for row in judged}
    for entry in parity["per_class"]:
        recall[entry["row"]].append(entry)
    return [
        {
            "row": row,
            "label": names[row],
            "images": (images := parity["rows"][row]["images"]),
            **_changes_of(cells[row], recall[row], np.bincount(truth[:images], minlength=classes), classes),
        }
        for row in judged
    ]


def _changes_of(cells: Counter[tuple[int, int]], recall: Sequence[Mapping[str, Any]], images: np.ndarray, classes: int) -> dict[str, Any]:
    changed = {pair: change for pair, change in cells.items() if change}
    weight: Counter[int] = Counter()
    for pair, change in changed.items():
        weight.update({label: abs(change) for label in set(pair)})
    shown = range(classes) if classes <= MAX_CLASSES else sorted(label for label, _ in weight.most_common(MAX_CLASSES))
    ranked = recall if classes <= MAX_CLASSES else sorted(recall, key=lambda entry: -abs(entry["change_pp"]))[:MAX_CLASSES]
    return {
        "shown": list(shown),
        "cells": sorted([true, predicted, change] for (true, predicted), change in changed.items() if true in shown and predicted in shown),
        "recall": [[entry["class"], int(images[entry["class"]]), entry["baseline_recall"], entry["export_recall"]] for entry in ranked],
    }


@dataclass(frozen=True)
class Form:
    """One line of the agreement matrix: a stage, or an artifact somewhere."""

    subject: str
    place: str
    usual: bool  # a stage, or default kernels
    agreements: tuple[tuple[str, float], ...]  # (text, how far below all others from 0 to 1), with each form in order


def agreement(parity: Mapping[str, Any]) -> list[Form]:
    """The matrix with names that fit: stages first, then the rows in the report's order, as `agreement_matrix` has them. Empty where that is."""
    if not parity["agreement_matrix"]:
        return []
    names, values = parity["agreement_matrix"]["names"], parity["agreement_matrix"]["values"]
    rows = [parity["rows"][row] for row in _judged(parity)]
    called = subjects(parity["rows"])
    heads = [({"qat": "QAT"}.get(name, name), "Keras model", True) for name in names[: len(names) - len(rows)]]
    heads += [(shortened(called[row["artifact"]]), where(row), row["kernels"] == "default") for row in rows]
    kept = [index for index, head in enumerate(heads) if head[2] or len(heads) <= MAX_FORMS]
    lowest = min((values[a][b] for a in kept for b in kept), default=1.0)

    def cell(a: int, b: int) -> tuple[str, float]:
        depth = (1 - values[a][b]) / (1 - lowest) if lowest < 1 else 0.0
        return "100" if values[a][b] == 1 else percent(values[a][b]).removesuffix(" %"), round(depth, 3)

    return [Form(*heads[a], tuple(cell(a, b) for b in kept)) for a in kept]


def _judged(parity: Mapping[str, Any]) -> list[int]:
    return [index for index, row in enumerate(parity["rows"]) if row["accuracy"] is not None]
