"""One turn of the job `time`: a block of runs of one model, and whether others took the processor meanwhile."""

from __future__ import annotations

import resource
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from edge_runtime.pipeline import TimedPipeline, encode_pictures
from edge_runtime.timing import TimedModel

PIPELINE = "pipeline"


def interruptions() -> int:
    """How often the threads of this process, wishing to go on, had to leave the processor to others, since they began."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


class Turns:
    """The opened models of a worker, as their turns come."""

    def __init__(self, timed: Sequence[TimedModel]) -> None:
        self._timed = timed
        self._pipelines: dict[int, TimedPipeline] = {}

    @cached_property
    def _pictures(self) -> list[bytes] | None:
        return encode_pictures(self._timed[0].images)

    def serve(self, turn: Mapping[str, Any]) -> dict[str, Any]:
        """{"model", "runs"} to {invoke_ns, predict_ns, span_ns, interrupted}; with "rate_hz" also `missed`. With "scope": "pipeline" to
        {pipeline_ns}, null without Pillow. The times are lists of nanoseconds, but the span of the block."""
        timed, runs = self._timed[turn["model"]], turn["runs"]
        if turn.get("scope") == PIPELINE:
            return {"pipeline_ns": self._pipeline(turn["model"], runs)}
        before, begin = interruptions(), time.perf_counter_ns()
        if rate := turn.get("rate_hz"):
            paced = timed.paced_block(runs, rate)
            samples = {"invoke_ns": paced.invoke.tolist(), "predict_ns": paced.predict.tolist(), "missed": paced.missed}
            span = paced.span_ns
        else:
            invoke, predict = timed.block(runs)
            samples = {"invoke_ns": invoke.tolist(), "predict_ns": predict.tolist()}
            span = time.perf_counter_ns() - begin
        return {**samples, "span_ns": span, "interrupted": interruptions() - before}

    def _pipeline(self, model: int, runs: int) -> list[int] | None:
        if self._pictures is None:
            return None
        if model not in self._pipelines:
            self._pipelines[model] = TimedPipeline(self._timed[model].classifier, self._pictures)
        return self._pipelines[model].block(runs).tolist()
