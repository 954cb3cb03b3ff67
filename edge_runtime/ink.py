"""How the strokes stand in the pictures that a model was trained on: what a photo of a stroke on paper must be made to look like.

Part of the preprocessing contract (`Preprocessing.ink`) of models of drawn or written signs, measured from their training pictures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

SEEN = 0.1  # a pixel counts as ink from this share of full ink on: below lie the skirts of blurred edges and JPEG's dust


@dataclass(frozen=True)
class Ink:
    """Lengths are shares of the picture's shorter side. The defaults are for a model that does not say: most of the picture, in its middle."""

    light: bool = True  # light strokes on dark paper, or the reverse
    extent: float = 0.75  # longest side of the box around the ink
    centre: tuple[float, float] = (0.5, 0.5)  # where the ink's centre of mass lies, of the height and of the width
    stroke: float = 0.0  # width of a stroke; 0 = any

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Ink:
        return cls(**{**fields, "centre": tuple(fields["centre"])})

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


# What --photo may say instead of the model: how to read a picture that is not in the model's own form already.
PHOTOS: dict[str, Ink | None] = {"fit": None, "light-ink": Ink(light=True), "dark-ink": Ink(light=False)}


def stroke_widths(ink: np.ndarray) -> np.ndarray:
    """Mean width of the strokes of each picture in pixels: ink float [N, H, W], 0 = paper .. 1 = ink, to float [N].

    A stroke much longer than wide has an area of length × width and an outline of 2 × length; the sum of the gradient's sizes is the
    outline's length, blurred or not.
    """
    padded = np.pad(ink, ((0, 0), (1, 1), (1, 1)))
    down, right = np.diff(padded, axis=1)[:, :, :-1], np.diff(padded, axis=2)[:, :-1]
    outline = np.hypot(down, right).sum(axis=(1, 2))
    return np.asarray(2 * ink.sum(axis=(1, 2)) / np.maximum(outline, 1e-9))


def boxes(seen: np.ndarray) -> np.ndarray:
    """The smallest box around what is seen: bool [N, H, W] to int [N, 4] (top, bottom, left, right; ends excluded). Nothing seen gives the whole."""
    rows, columns = seen.any(axis=2), seen.any(axis=1)
    edges = [rows.argmax(1), rows.shape[1] - rows[:, ::-1].argmax(1), columns.argmax(1), columns.shape[1] - columns[:, ::-1].argmax(1)]
    return np.stack(edges, axis=1)


def mass_centres(ink: np.ndarray) -> np.ndarray:
    """Centre of mass: float [N, H, W] to float [N, 2] (y, x), in pixels from the upper left corner; all its pictures must hold ink."""
    mass = ink.sum(axis=(1, 2))
    down, right = np.arange(ink.shape[1]) + 0.5, np.arange(ink.shape[2]) + 0.5
    return np.stack([ink.sum(axis=2) @ down / mass, ink.sum(axis=1) @ right / mass], axis=1)
