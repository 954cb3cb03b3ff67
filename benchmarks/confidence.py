"""Does an export mean the same by its probabilities? Labels alone do not tell: logits four times too large choose the same class.

Average confidence is compared (as in Guo et al., 2017, On Calibration of Modern Neural Networks), that of each network in its own likeliest
class against its second: the scale is how many times as large the baseline's logits would have to be for it to be as sure as the export.
Over all images: those that one of two networks is unsure of would always show the other one surer. An export that was calibrated on
purpose needs a baseline that was calibrated alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from benchmarks.statistics import Z_ONE_SIDED_95

FACTOR = 1.5  # up to which a network counts as equally sure: quantization stays within 1.03, fine-tuning by labels gave up to 1.2
_UNSURE = math.log(0.95 / 0.05)  # log-odds up to which an image shows how sure a network is
_LEAST_IMAGES = 30
_MOST = 64.0  # times: beyond, networks are sure of everything, or of nothing
_STEPS = 40


@dataclass(frozen=True)
class LogitScale:
    """How many times as large the logits became, and whether the images prove that it is more than FACTOR, either way."""

    value: float
    beyond: bool

    @property
    def fault(self) -> str | None:
        """Why these cannot be the same network's probabilities, as the reason of a verdict; None if they can."""
        if not self.beyond:
            return None
        doubt = "; is softmax applied twice?" if self.value < 1 / FACTOR**2 else ""
        return f"other probabilities: its logits are {self.value:.2f} times the baseline's, a factor of {FACTOR} is allowed{doubt}"


def logit_scale(before: np.ndarray, after: np.ndarray) -> LogitScale | None:
    """From probabilities [n, classes] of the same images; None where the baseline is unsure of too few."""
    if before.shape[1] < 2:
        return None
    odds, export = _log_odds(before), _log_odds(after)
    if np.count_nonzero((odds > 0) & (odds <= _UNSURE)) < _LEAST_IMAGES:
        return None
    beyond = _surer(export, FACTOR * odds) or _surer(odds / FACTOR, export)
    return LogitScale(_as_sure(odds, float(_confidence(export).mean())), beyond)


def _log_odds(probabilities: np.ndarray) -> np.ndarray:
    """float64 [n]: of each image's likeliest class against its second."""
    second, first = np.partition(probabilities.astype(np.float64), -2, axis=1).T[-2:]
    least = np.min(probabilities, where=probabilities > 0, initial=1.0) / 2  # a quantized softmax rounds to 0
    odds: np.ndarray = np.log(np.maximum(first, least)) - np.log(np.maximum(second, least))
    return odds


def _confidence(odds: np.ndarray) -> np.ndarray:
    confidence: np.ndarray = 1 / (1 + np.exp(-odds))
    return confidence


def _surer(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether the first is surer on average, beyond chance at one-sided 95 %, by the same images."""
    more = _confidence(one) - _confidence(other)
    return bool(more.mean() > Z_ONE_SIDED_95 * more.std() / math.sqrt(len(more)))


def _as_sure(odds: np.ndarray, confidence: float) -> float:
    """What these log-odds must be multiplied by for that average confidence: by bisection, within 1/_MOST to _MOST."""
    low, high = 1 / _MOST, _MOST
    for _ in range(_STEPS):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if _confidence(middle * odds).mean() < confidence else (low, middle)
    return math.sqrt(low * high)
