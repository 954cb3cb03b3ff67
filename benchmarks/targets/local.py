"""This machine: each job in a subprocess of its own."""

from __future__ import annotations

from collections.abc import Callable

from edge_runtime.jobs import Job, Message
from edge_runtime.worker import Worker, run_in_subprocess


class LocalTarget:
    name = "local"

    def run(self, job: Job, runtime: str, progress: Callable[[int, int], None] | None = None) -> Message:
        return run_in_subprocess(job, runtime, progress)

    def start(self, job: Job, runtime: str) -> Worker:
        return Worker({**job, "runtime": runtime})
