"""An answer as JSON has it, on the command line and over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from edge_runtime.pictures import Step


def likeliest(probabilities: np.ndarray, names: Sequence[str], count: int) -> list[dict[str, Any]]:
    """float [classes] to the `count` classes with the largest, at least one."""
    ranked = sorted(range(len(probabilities)), key=lambda index: -probabilities[index])[: max(1, count)]
    return [{"label": names[index], "probability": round(float(probabilities[index]), 6)} for index in ranked]


def told(steps: Sequence[Step], pictures: bool = False) -> list[dict[str, str]]:
    """Steps as JSON has them; their pictures as data: URIs."""
    entries = [{"step": step.name, "about": step.about} for step in steps]
    if pictures:
        from base64 import b64encode

        from edge_runtime.explain import png, thumbnail

        for entry, step in zip(entries, steps, strict=True):
            entry["picture"] = "data:image/png;base64," + b64encode(png(thumbnail(step.pixels))).decode()
    return entries
