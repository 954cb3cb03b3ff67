"""Does an export mean the same by its probabilities? Labels alone do not tell: logits four times too large choose the same class.

How many times as large the logits became is a slope: of the export's log-odds, of the two likeliest classes, on the baseline's, or the
inverse of the reverse. It is the inverse of the temperature of Guo et al. (2017), On Calibration of Modern Neural Networks, against a
network instead of labels. Noise of one side alone flattens one of the slopes, so that the truth lies between them: a fault is what both
of them show. A baseline for an export that was calibrated on purpose is a model calibrated alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.statistics import Z_ONE_SIDED_95

FACTOR = 1.75  # up to which a network counts as equally sure: quantization stays within 1.02, fine-tuning by labels gave up to 1.4
_UNSURE = 0.05  # the second class's probability from which an image shows how sure a network is; an 8-bit softmax has 13 steps for it
_LEAST_IMAGES = 10
_TWICE = 0.5  # softmax of probabilities leaves less than this of the logits


@dataclass(frozen=True)
class LogitScale:
    """How many times as large the logits became: what images show, and between which bounds it is, each one-sided at 95 %."""

    value: float
    low: float
    high: float

    @property
    def fault(self) -> str | None:
        """Why these cannot be the same network's probabilities, as the reason of a verdict; None if they can."""
        if self.low <= FACTOR and self.high >= 1 / FACTOR:
            return None
        doubt = "; is softmax applied twice?" if 0 < self.value < _TWICE else ""
        return f"other probabilities: its logits are {self.value:.2f} times the baseline's, a factor of {FACTOR} is allowed{doubt}"


def logit_scale(before: np.ndarray, after: np.ndarray) -> LogitScale | None:
    """From probabilities [n, classes] of the same images; None where the baseline is unsure of too few."""
    forward, backward = _slope(before, after), _slope(after, before)
    if forward is None:
        return None
    value, error = forward
    low, high = value - error, value + error
    if backward is not None:
        slope, error = backward
        if slope <= error:  # no relation: then neither slope is a scale
            return LogitScale(value, -np.inf, np.inf)
        low, high = min(low, 1 / (slope + error)), max(high, 1 / (slope - error))
        value = min(value, 1 / slope, key=lambda scale: abs(np.log(scale)) if scale > 0 else np.inf)
    return LogitScale(value, low, high)


def _slope(before: np.ndarray, after: np.ndarray) -> tuple[float, float] | None:
    """(least-squares slope through the origin of the log-odds, its one-sided error) on images of which `before` is unsure."""
    if before.shape[1] < 2:
        return None
    unsure = np.flatnonzero(np.partition(before, -2, axis=1)[:, -2] >= _UNSURE)
    if unsure.size < _LEAST_IMAGES:
        return None
    second, first = np.argsort(before[unsure], axis=1).T[-2:]
    x, y = (_log_odds(values[unsure], first, second) for values in (before, after))
    power = float(x @ x)
    if power == 0:
        return None
    slope = float(x @ y) / power
    error = np.sqrt(float(np.square(x * (y - slope * x)).sum())) / power  # whatever the noise depends on (White, 1980)
    return slope, Z_ONE_SIDED_95 * float(error)


def _log_odds(probabilities: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    images = np.arange(len(probabilities))
    least = np.min(probabilities, where=probabilities > 0, initial=1.0)
    above_zero = np.maximum(probabilities, least / 2, dtype=np.float64)  # a quantized softmax rounds to 0
    odds: np.ndarray = np.log(above_zero[images, first]) - np.log(above_zero[images, second])
    return odds
