"""The scale of one board, measured there: what its owner's times are of the times that are predicted for boards of its kind.

    scale = measured / predicted          the geometric mean over what was timed, each artifact as much as any other

It takes the place of the published scale, which is 1. What it leaves open is told by the artifacts themselves: an artifact's runtimes and
scopes go wrong together, so that artifacts count, not times. The interval is Student's for one more artifact like them,

    ln(high) = t × s × sqrt(1 + 1/n)      n artifacts, s their spread about the mean, t for COVERAGE with n - 1 degrees of freedom

and for fewer than ENOUGH artifacts never narrower than the published one: formats of one network are alike, and networks differ more.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.predict import BoardTimes
from benchmarks.validity import CLOCK_SHARE
from edge_runtime.errors import InputError

SCHEMA = 1
COVERAGE = 0.8  # as the published intervals have it
LEAST, ENOUGH = 2, 5  # artifacts: one has no spread


@dataclass(frozen=True)
class Timing:
    """One artifact on one runtime in one scope ("invoke", "predict"): what a board took, and what was predicted with the published scale."""

    artifact: str
    format: str
    sha256: str
    runtime: str
    runtime_version: str
    scope: str
    measured_ms: float  # the median
    predicted_ms: float
    predicted_low_ms: float
    predicted_high_ms: float

    @property
    def ratio(self) -> float:
        return self.measured_ms / self.predicted_ms


@dataclass(frozen=True)
class Scale:
    """What the timings say."""

    scale: float
    low: float  # the interval of a prediction, as factors of it
    high: float
    spread: float  # standard deviation of ln(measured / predicted) among artifacts
    artifacts: int
    mean_error: float  # each artifact predicted with the scale that all others give, relative to what was measured
    worst_error: float
    errors: tuple[float, ...]  # of each timing, with its sign


@dataclass(frozen=True)
class Calibration:
    """A board's scale as it is kept: `fields` is what the file holds of it."""

    board: str
    fields: Mapping[str, Any]

    @property
    def sentence(self) -> str:
        """Where a prediction's scale comes from; stands beside every one."""
        date = "-".join(self.fields["utc"][start:end] for start, end in ((0, 4), (4, 6), (6, 8)))
        error = self.fields["leave_one_out"]["mean"]
        return f"scale measured on {self.fields['host']}, {date}, {self.fields['artifacts']} artifacts, leave-one-out error {error:.1%}"

    def apply(self, published: BoardTimes) -> BoardTimes:
        """The board's times with its own scale. InputError when it was measured against other constants: it would be of nothing."""
        if self.fields["constants"] != constants_of(published):
            raise InputError(
                f"The scale of {self.board} that was measured on {self.fields['host']} belongs to another version of edgeproof: "
                f"run `edgeproof calibrate-board {self.fields['host']}` again, or drop it with `edgeproof calibrate-board --forget {self.board}`."
            )
        own = self.fields
        return replace(published, scale=own["scale"], low=own["low"], high=own["high"], measured=self.sentence)


def constants_of(published: BoardTimes) -> dict[str, Any]:
    """What a scale is relative to."""
    return {"clock_mhz": published.clock_mhz, "weights": dict(published.weights)}


def check_enough(artifacts: int) -> None:
    """InputError for fewer than LEAST."""
    if artifacts < LEAST:
        there = "is 1" if artifacts else "are none"
        raise InputError(f"A scale takes at least {LEAST} artifacts that can be both timed and predicted, there {there}: export others.")


def find_scale(timings: Sequence[Timing], published: BoardTimes) -> Scale:
    """InputError for fewer than LEAST artifacts."""
    names = list(dict.fromkeys(one.sha256 for one in timings))
    check_enough(len(names))
    logs = {name: np.log([one.ratio for one in timings if one.sha256 == name]) for name in names}
    means = {name: float(some.mean()) for name, some in logs.items()}
    middle = float(np.mean(list(means.values())))
    count = len(names)
    spread = math.sqrt(float(np.mean([np.mean((some - middle) ** 2) for some in logs.values()])) * count / (count - 1))
    factor = _factor(spread, count, published)
    others = {name: (count * middle - means[name]) / (count - 1) for name in names}
    errors = tuple(math.exp(others[one.sha256]) / one.ratio - 1 for one in timings)
    sizes = np.abs(errors)
    return Scale(math.exp(middle), 1 / factor, factor, spread, count, float(sizes.mean()), float(sizes.max()), errors)


def _factor(spread: float, count: int, published: BoardTimes) -> float:
    """A prediction is divided and multiplied by this."""
    from scipy.special import stdtrit

    own = math.exp(float(stdtrit(count - 1, (1 + COVERAGE) / 2)) * spread * math.sqrt(1 + 1 / count))
    own = max(own, 1 + CLOCK_SHARE)  # a clock that moved by less went unnoticed
    return own if count >= ENOUGH else max(own, published.high, 1 / published.low)


def to_fields(scale: Scale, timings: Sequence[Timing], published: BoardTimes, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a calibration. facts: {host, utc, model, …}: where and when."""
    return {
        "scale": round(scale.scale, 4),
        "low": round(scale.low, 4),
        "high": round(scale.high, 4),
        "spread": round(scale.spread, 4),
        "artifacts": scale.artifacts,
        "leave_one_out": {"mean": round(scale.mean_error, 4), "worst": round(scale.worst_error, 4)},
        **facts,
        "constants": constants_of(published),
        "timings": [{**asdict(one), "leave_one_out": round(error, 4)} for one, error in zip(timings, scale.errors, strict=True)],
    }


def read_calibrations(path: Path) -> dict[str, Calibration]:
    """Those that a file holds, by board; none where there is no file. InputError when it is damaged, foreign or from a newer edgeproof."""
    try:
        fields = json.loads(path.read_text())
        if fields["schema"] != SCHEMA:
            raise InputError(f"{path} has schema {fields['schema']}, this edgeproof reads {SCHEMA}: upgrade it.")
        found = {board: Calibration(board, own) for board, own in fields["boards"].items()}
        for one in found.values():
            _ = one.sentence, one.fields["constants"]
            if not 0 < one.fields["low"] <= 1 <= one.fields["high"] or not one.fields["scale"] > 0:
                raise ValueError(f"impossible numbers for {one.board}")
        return found
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"Cannot read the scales of boards {path} ({type(error).__name__}: {error}): mend or remove it.") from None
