"""A limit on predicted time: passed or failed only by what lies wholly on one side of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from benchmarks.counts import CountResult
from benchmarks.predict import Prediction
from edge_runtime.errors import InputError

SCOPE = "predict"  # what a user of the classifier waits for: encode, run, take the label


class Verdict(Enum):
    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True)
class Limited:
    """What a limit says of a result: the worst of its rows, and a sentence a row."""

    verdict: Verdict
    lines: tuple[str, ...]


def check_limit(most_ms: float) -> None:
    """InputError for what is no number of milliseconds."""
    if not 0 < most_ms < float("inf"):  # false for NaN, too
        raise InputError(f"--max-ms is a number of milliseconds above 0, got {most_ms:g}.")


def judge(prediction: Prediction, most_ms: float) -> Verdict:
    """Whether an inference takes at most so long."""
    if prediction.high <= most_ms:
        return Verdict.PASS
    return Verdict.FAIL if prediction.low > most_ms else Verdict.INCONCLUSIVE


def judge_all(result: CountResult, most_ms: float) -> Limited:
    """Every row that a time was predicted for. InputError when there is none."""
    check_limit(most_ms)
    judged = [(row, time, judge(time, most_ms)) for row in result.rows if (time := row.predicted(SCOPE))]
    if not judged:
        raise InputError(f"No time was predicted on {result.target}, so --max-ms has nothing to judge.")
    lines = [f"{verdict.value}: {row.key[0]} on {row.key[1]}: {time}, at most {most_ms:g} ms allowed" for row, time, verdict in judged]
    return Limited(worst([verdict for _, _, verdict in judged]), tuple(lines))


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    for verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE):
        if verdict in verdicts:
            return verdict
    return Verdict.PASS
