"""The parts of a drawing that hang together, and which of them belong to it."""

from __future__ import annotations

import numpy as np

from edge_runtime.ink import boxes

GRID = 100  # longest side of the grid on which parts are told apart: gaps of a pixel of it do not part
SPECK = 0.03  # a part with less than this share of the largest one's ink is dirt
INSIDE = 0.08  # parts at the border are left out when one inside is at least so long, of the picture's longest side
_LOOKED_AT = 20  # parts inside, the heaviest: dust is light


def main_components(seen: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Which pixels belong to the drawing: bool [H, W], and float [H, W] saying how much ink each holds, to bool [H, W].

    Their neighbourhood belongs to them: there is the grey of their edges.
    """
    cell = -(-max(seen.shape) // GRID)
    coarse, ink = _cells(seen, cell).any(axis=(1, 3)), _cells(seen * weight, cell).sum(axis=(1, 3))
    labels = label(coarse)
    mass = np.bincount(labels.ravel(), ink.ravel(), minlength=2)
    mass[0] = 0
    kept = mass > 0
    kept[np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])] = False
    heaviest = np.flatnonzero(kept)[np.argsort(-mass[kept])][:_LOOKED_AT]
    if _longest(labels, heaviest) < INSIDE * max(labels.shape):
        kept = mass > 0
    kept &= mass >= SPECK * mass[kept].max(initial=0)
    fine = np.kron(_around(kept[labels]).any(axis=0), np.ones((cell, cell), bool))
    return np.asarray(fine[: seen.shape[0], : seen.shape[1]])


def _longest(labels: np.ndarray, parts: np.ndarray) -> int:
    """The longest side of the boxes around some parts of int [H, W]; 0 for none."""
    top, bottom, left, right = boxes(labels == parts[:, np.newaxis, np.newaxis]).T
    return int(np.maximum(bottom - top, right - left).max(initial=0))


def _cells(pixels: np.ndarray, cell: int) -> np.ndarray:
    """[H, W] to [rows, cell, columns, cell], filled up with nothing."""
    height, width = pixels.shape
    padded = np.pad(pixels, ((0, -height % cell), (0, -width % cell)))
    return padded.reshape(padded.shape[0] // cell, cell, padded.shape[1] // cell, cell)


def label(mask: np.ndarray) -> np.ndarray:
    """bool [H, W] to int [H, W]: 0 where False, else a number of the part, whose pixels touch by a side or a corner."""
    labels = np.where(mask, np.arange(1, mask.size + 1).reshape(mask.shape), 0)
    while True:  # the largest number spreads by a pixel, then leaps: a number is the place of a pixel of the same part, which may know a larger one
        spread = _around(labels).max(axis=0) * mask
        leapt = np.where(mask, spread.ravel()[spread - 1], 0)
        if np.array_equal(leapt, labels):
            return np.searchsorted(np.unique(labels[mask]), labels, side="right")
        labels = leapt


def _around(grid: np.ndarray) -> np.ndarray:
    """[H, W] to [9, H, W]: each place and its eight neighbours."""
    height, width = grid.shape
    padded = np.pad(grid, 1)
    return np.stack([padded[down : down + height, right : right + width] for down in range(3) for right in range(3)])
