"""Are a data set's pictures strokes on bare paper? If so, where do the strokes stand: measured, because no file says so."""

from __future__ import annotations

import numpy as np

from edge_runtime.ink import SEEN, Ink, boxes, mass_centres, stroke_widths

SAMPLE = 2000  # pictures looked at, evenly over the set
BARE = 0.9  # share of the pictures whose margin must be bare paper, up to PAPER
PAPER = 0.1  # of the pixels' range
THIN = 0.3  # a stroke's width is at most this share of the ink's extent (a disc's would be 0.5)


def measure_ink(images: np.ndarray) -> Ink | None:
    """uint8 [N, H, W, C] to what their strokes have in common; None for colour, and for pictures that are not strokes on bare paper."""
    sample = images[:: max(1, len(images) // SAMPLE)]
    if (sample != sample[..., :1]).any():
        return None
    pixels = sample[..., 0].astype(np.float32) / 255
    margin = np.concatenate([pixels[:, 0], pixels[:, -1], pixels[:, :, 0], pixels[:, :, -1]], axis=1)
    light = float(np.median(margin)) < 0.5
    ink, bare = (pixels, margin) if light else (1 - pixels, 1 - margin)
    drawn = ink.max(axis=(1, 2)) > 0.5
    if (bare.max(axis=1) <= PAPER).mean() < BARE or drawn.mean() < BARE:
        return None
    ink, side = ink[drawn], min(images.shape[1:3])
    top, bottom, left, right = boxes(ink >= SEEN).T
    extents = np.maximum(bottom - top, right - left) / side
    extent, stroke = float(np.median(extents)), float(np.median(stroke_widths(ink))) / side
    if stroke > THIN * extent:
        return None
    down, across = np.median(mass_centres(ink), axis=0) / images.shape[1:3]
    return Ink(light, round(extent, 3), (round(float(down), 3), round(float(across), 3)), round(stroke, 3))
