"""Does an export mean the same by its probabilities? Labels alone do not tell: logits four times too large choose the same class.

Two networks that are equally sure are unsure of equally many images, each by itself: of the likeliest class against the second, below 19 to 1.
(On the images that one of two networks is unsure of, the other one is always surer.) The share is robust: neither an 8-bit softmax, which
ends at 255 to 1, nor ties of saturated logits move it. An export that was calibrated on purpose needs a baseline calibrated alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from benchmarks.statistics import Z_ONE_SIDED_95

FACTOR = 1.3  # up to which a network counts as equally sure: quantization stays within 1.04, fine-tuning by labels gave 1.1
_UNSURE = math.log(0.95 / 0.05)  # log-odds up to which a network is
_LEAST_IMAGES = 30
_TWICE = 0.5  # softmax of probabilities leaves less than this of the logits


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
        doubt = "; is softmax applied twice, or a scale lost?" if self.value < _TWICE else ""
        return f"other probabilities: its logits are {self.value:.2f} times the baseline's, a factor of {FACTOR} is allowed{doubt}"


def logit_scale(before: np.ndarray, after: np.ndarray) -> LogitScale | None:
    """From probabilities [n, classes] of the same images; None where the baseline is unsure of too few.

    value: the log-odds up to which the export is unsure of as many images, over those of the baseline.
    """
    if before.shape[1] < 2:
        return None
    odds, export = _log_odds(before), _log_odds(after)
    unsure = np.count_nonzero(odds <= _UNSURE)
    if unsure < _LEAST_IMAGES:
        return None
    (baseline_end, export_end) = (np.partition(values, unsure - 1)[unsure - 1] for values in (odds, export))
    if baseline_end == 0:  # nothing but ties
        return None
    return LogitScale(float(export_end / baseline_end), _surer(export, FACTOR * odds) or _surer(odds / FACTOR, export))


def _log_odds(probabilities: np.ndarray) -> np.ndarray:
    """float64 [n]: of each image's likeliest class against its second."""
    second, first = np.partition(probabilities.astype(np.float64), -2, axis=1).T[-2:]
    least = np.min(probabilities, where=probabilities > 0, initial=1.0) / 2  # a quantized softmax rounds to 0
    odds: np.ndarray = np.log(np.maximum(first, least)) - np.log(np.maximum(second, least))
    return odds


def _surer(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether the first is unsure of fewer images, beyond chance at one-sided 95 %: McNemar's test with both judged on the same ones."""
    more, fewer = (np.count_nonzero((a <= _UNSURE) & (b > _UNSURE)) for a, b in ((other, one), (one, other)))
    return bool(more - fewer > Z_ONE_SIDED_95 * math.sqrt(more + fewer))
