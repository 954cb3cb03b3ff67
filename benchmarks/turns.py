"""Who runs when: rounds in which every contestant has one block, in random order, so that all meet the same moments of the machine."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.errors import RuntimeProblem
from edge_runtime.progress import Progress
from edge_runtime.timing import BLOCK_SECONDS, MIN_BLOCK_RUNS, MIN_SAMPLES, block_runs
from edge_runtime.worker import Worker

if TYPE_CHECKING:
    from benchmarks.latency import Contestant

MIN_ROUNDS = 8  # the fewest that can give a 99 % interval of a median: all on one side of it come by chance in 2 / 2**8
ROUNDS_TO_JUDGE = 20  # the fewest by which a session is called INVALID
LEAST_PACED_RUNS = 3  # in a block
LEAST_PACED = MIN_ROUNDS * LEAST_PACED_RUNS  # runs of a paced contestant: fewer say nothing
PIPELINE_ROUNDS = 12
MIN_PIPELINE_RUNS = 5  # in a block: of slow models


@contextlib.contextmanager
def reason_for(contestants: Sequence[Contestant]) -> Iterator[None]:
    """A runtime that fails takes its own contestants out of the race, with the reason; the others go on."""
    try:
        yield
    except RuntimeProblem as error:
        for contestant in contestants:
            contestant.reason = str(error)


@dataclass
class Rounds:
    """The workers that wait for their turn, and for how long each contestant is timed."""

    workers: Mapping[tuple[str, int], Worker]  # by Contestant.place
    seconds: float
    between_rounds: Callable[[], None]
    progress: Progress

    def take(self, contestants: list[Contestant]) -> None:
        """Rounds until every contestant has its samples and its seconds; those that fail on the way keep their reason."""
        order = np.random.default_rng(0)
        budget = self.seconds * len(contestants)
        begin = time.perf_counter()
        while any(not self._done(contestant) for contestant in contestants):
            for index in order.permutation(len(contestants)):
                self._block(contestants[index], contestants)
            contestants = [contestant for contestant in contestants if not contestant.reason]
            if not contestants:
                return
            self.between_rounds()
            elapsed = min(time.perf_counter() - begin, budget)
            done = int(1000 * (0.5 + 0.5 * min(elapsed / budget, 0.99)))
            self.progress(done, 1000, f"{len(contestants[0].predict_ns)} rounds of {len(contestants)} models")

    def take_pipeline(self, contestants: list[Contestant]) -> None:
        """The scope pipeline, in rounds of its own: what it does to the caches is no cost of the other scopes."""
        order = np.random.default_rng(0)
        for done in range(PIPELINE_ROUNDS):
            for index in order.permutation(len(contestants)):
                contestant = contestants[index]
                runs = np.clip(BLOCK_SECONDS / (np.median(contestant.predict_ns[-1]) / 1e9), MIN_PIPELINE_RUNS, MIN_BLOCK_RUNS)
                answer = self._ask(contestant, contestants, {"runs": int(runs), "scope": "pipeline"})
                if answer and answer["pipeline_ns"]:  # null without Pillow
                    contestant.pipeline_ns.append(answer["pipeline_ns"])
            contestants = [contestant for contestant in contestants if contestant.pipeline_ns and not contestant.reason]
            self.progress(995, 1000, f"{done + 1} of {PIPELINE_ROUNDS} rounds from encoded pictures")

    def _done(self, contestant: Contestant) -> bool:
        if len(contestant.predict_ns) < MIN_ROUNDS:
            return False
        if contestant.rate_hz:  # as many as there is time for
            return contestant.span_ns >= self.seconds * 1e9
        return contestant.samples >= MIN_SAMPLES and contestant.seconds >= self.seconds

    def _block(self, contestant: Contestant, contestants: Sequence[Contestant]) -> None:
        answer = self._ask(contestant, contestants, self._turn(contestant))
        if answer:
            contestant.invoke_ns.append(answer["invoke_ns"])
            contestant.predict_ns.append(answer["predict_ns"])
            contestant.span_ns += answer["span_ns"]
            contestant.interrupted += answer["interrupted"]
            contestant.missed += answer.get("missed", 0)

    def _turn(self, contestant: Contestant) -> dict[str, Any]:
        if not contestant.rate_hz:
            return {"runs": block_runs(contestant.predict_ns[-1] if contestant.predict_ns else ())}
        runs = LEAST_PACED_RUNS
        if contestant.samples:  # by the pace that it kept: a model that takes longer than a slot must not take longer than its seconds
            kept_ns = contestant.span_ns / contestant.samples
            runs = max(runs, math.ceil(self.seconds * 1e9 / kept_ns / ROUNDS_TO_JUDGE))
        return {"runs": runs, "rate_hz": contestant.rate_hz}

    def _ask(self, contestant: Contestant, contestants: Sequence[Contestant], turn: dict[str, Any]) -> dict[str, Any] | None:
        """The worker's answer; None when it failed, and with it everyone who lives there."""
        if contestant.reason:
            return None
        with reason_for([other for other in contestants if other.place == contestant.place]):
            worker = self.workers[contestant.place]
            worker.send({"model": contestant.index, **turn})
            return worker.receive()
        return None
