"""Whether a session's own numbers can be believed: what they say against themselves, and of the machine while they were taken.

A session is INVALID when
- its A/A pair, one artifact opened twice and timed like two, is off 1 by more than 2 % with 1 outside the 99 % interval;
- others took the processor away in more than 10 % of the runs of one of its files: its p90 is then theirs, and a median of which so many runs
  were hit is not far from that. How busy the machine is says less: of runs of 20 µs, a core shared by two interrupts one in 200;
- the machine's pace moved: the quartiles of the rounds, each round's time taken over all contestants, lie more than 10 % apart. A clock that
  moves, heat, and neighbours that share a core's caches show in it, also where nothing tells of them;
- the clock's step is more than 1 % of the shortest median.
More threads than cores take the processor from each other, in whichever order: what runs with as many is left out of the second and the third.
The first and the third take at least 20 rounds: of fewer, an interval promises more than it holds.
Contention and pace spoil absolute times. Ratios within the session are paired by rounds and stand, unless the A/A pair is off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.latency import Contestant, block_medians
from benchmarks.statistics import differs, ratio_interval
from benchmarks.turns import ROUNDS_TO_JUDGE
from edge_runtime.bench import in_threads

MOST_INTERRUPTED = 0.10
MOST_PACE = 1.10
MOST_TICK = 0.01


def against_itself(contestants: Sequence[Contestant]) -> dict[str, Any] | None:
    """What the A/A pair tells: {artifact, runtime, threads, rounds, ratio, low, high}; None where there is none."""
    for contestant in contestants:
        if contestant.twin and not contestant.reason:
            ratio, low, high = ratio_interval(block_medians(contestant.twin), block_medians(contestant))
            subject = {"artifact": contestant.artifact.path.name, "runtime": contestant.runtime, "threads": contestant.threads}
            return {**subject, "rounds": len(contestant.predict_ns), "ratio": ratio, "low": low, "high": high}
    return None


def faults(contestants: Sequence[Contestant], cores: int | None = None) -> list[str]:
    """Why the session is INVALID, a clause each; none when it is VALID. cores: that the processes could use; None for enough.

    Paced sessions are judged by their A/A pair and clock alone: between two of their inferences the machine may do what it likes.
    """
    timed = [contestant for contestant in contestants if contestant.samples and not contestant.reason]
    if not timed:
        return []
    found = _off(against_itself(contestants))
    shortest = min(float(np.median(np.concatenate(contestant.invoke_ns))) for contestant in timed)
    tick = max(contestant.tick_ns for contestant in timed)
    if tick > MOST_TICK * shortest:
        found.append(f"the clock's step of {tick} ns is more than {MOST_TICK:.0%} of the shortest median, {shortest:.0f} ns")
    timed = [contestant for contestant in timed if not contestant.rate_hz and (cores is None or contestant.threads <= cores)]
    if not timed:
        return found
    found += _interrupted(timed)
    enough = min(len(contestant.predict_ns) for contestant in timed) >= ROUNDS_TO_JUDGE
    quarter, three_quarters = np.quantile(paces(timed), (0.25, 0.75)) if enough else (1.0, 1.0)
    if three_quarters > MOST_PACE * quarter:
        found.append(f"the machine's pace moved by {three_quarters / quarter - 1:.0%} between rounds")
    return found


def _interrupted(timed: Sequence[Contestant]) -> list[str]:
    """The file that suffered most, if it did by more than is allowed."""
    worst = max(timed, key=lambda one: one.interrupted_share)
    share = worst.interrupted_share
    if share <= MOST_INTERRUPTED:
        return []
    times = "in every run" if share >= 1 else f"in {share:.0%} of the runs"
    return [f"others took the processor {times} of {worst.artifact.path.name} on {worst.runtime}, {in_threads(worst.threads)}"]


def paces(timed: Sequence[Contestant]) -> np.ndarray:
    """How slow the machine was in each round, float [rounds] around 1: the geometric mean over the contestants of the round's median
    divided by that of all rounds. Of as many rounds as all have."""
    rounds = min(len(contestant.predict_ns) for contestant in timed)
    medians = np.array([block_medians(contestant)[:rounds] for contestant in timed])
    relative: np.ndarray = np.exp(np.log(medians / np.median(medians, axis=1, keepdims=True)).mean(axis=0))
    return relative


def contradicts_itself(aa: Mapping[str, Any] | None) -> bool:
    """Whether the A/A pair is off, so that no ratio of its session can be believed."""
    return aa is not None and not too_short(aa) and differs(aa["ratio"], aa["low"], aa["high"])


def too_short(aa: Mapping[str, Any] | None) -> bool:
    """Whether the session took too few rounds for its A/A pair to tell anything."""
    return aa is not None and aa["rounds"] < ROUNDS_TO_JUDGE


def _off(aa: Mapping[str, Any] | None) -> list[str]:
    if aa is None or not contradicts_itself(aa):
        return []
    pair = f"{aa['artifact']} on {aa['runtime']} against itself is {aa['ratio']:.3f} ({aa['low']:.3f} to {aa['high']:.3f}) and not 1"
    return [f"{pair}: no ratio of this session can be believed"]
