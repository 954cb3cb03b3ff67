"""An answer as JSON has it, on the command line and over HTTP."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_runtime.explain import png, thumbnail
from edge_runtime.photo import Step


def likeliest(probabilities: np.ndarray, names: Sequence[str], count: int) -> list[dict[str, Any]]:
    """float [classes] to the `count` classes with the largest, at least one."""
    ranked = sorted(range(len(probabilities)), key=lambda index: -probabilities[index])[: max(1, count)]
    return [{"label": names[index], "probability": round(float(probabilities[index]), 6)} for index in ranked]


def told(steps: Sequence[Step], pictures: bool = False) -> list[dict[str, str]]:
    """Steps as JSON has them; their pictures as data: URIs."""
    entries = []
    for step in steps:
        entries.append({"step": step.name, "about": step.about})
        if pictures:
            entries[-1]["picture"] = "data:image/png;base64," + base64.b64encode(png(thumbnail(step.pixels))).decode()
    return entries
