"""Does an export mean the same by its probabilities? Labels alone do not tell: logits four times too large choose the same class."""

from __future__ import annotations

import numpy as np

FACTOR = 1.75  # up to which a network counts as equally sure: quantization stays within 1.02, fine-tuning by labels gave up to 1.4
_UNSURE = 0.05  # the second class's probability from which an image shows how sure a network is; an 8-bit softmax has 13 steps for it
_LEAST_IMAGES = 10


def logit_scale(before: np.ndarray, after: np.ndarray) -> float | None:
    """How many times as large the logits became, from probabilities [n, classes] of the same images; None where too few images are unsure.

    The least-squares slope, through the origin, of the log-odds of the two classes that `before` holds likeliest: the inverse of the
    temperature of Guo et al. (2017), On Calibration of Modern Neural Networks, against a network instead of labels.
    """
    if before.shape[1] < 2:
        return None
    second, first = np.argsort(before, axis=1, kind="stable").T[-2:]
    unsure = np.flatnonzero(np.take_along_axis(before, second[:, None], axis=1)[:, 0] >= _UNSURE)
    if unsure.size < _LEAST_IMAGES:
        return None
    odds_before, odds_after = (_log_odds(values[unsure], first[unsure], second[unsure]) for values in (before, after))
    size = odds_before @ odds_before
    return float(odds_before @ odds_after / size) if size else None


def _log_odds(probabilities: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    images = np.arange(len(probabilities))
    least = np.min(probabilities, where=probabilities > 0, initial=1.0)
    above_zero = np.maximum(probabilities, least / 2, dtype=np.float64)  # a quantized softmax rounds to 0
    odds: np.ndarray = np.log(above_zero[images, first]) - np.log(above_zero[images, second])
    return odds


def fault(scale: float | None) -> str | None:
    """Why these cannot be the same network's probabilities, as the reason of a verdict; None if they can."""
    if scale is None or 1 / FACTOR <= scale <= FACTOR:
        return None
    doubt = "; is softmax applied twice?" if 0 < scale < 1 else ""
    return f"other probabilities: its logits are {scale:.2f} times the baseline's, a factor of {FACTOR} is allowed{doubt}"
