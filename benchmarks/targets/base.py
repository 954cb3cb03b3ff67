"""What a target is: somewhere that `edge_runtime` runs and answers jobs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from edge_runtime.jobs import Job, Message
from edge_runtime.machine import Machine
from edge_runtime.worker import Worker

# Gives the bundle (one file, no model in it) that holds edge_runtime and one runtime for a machine. Building is the exporter's work.
Supply = Callable[[Machine, str], Path]


class Target(Protocol):
    """Runs jobs with one runtime each. Paths in a job are files of this machine; the target takes them where it needs them."""

    name: str

    def run(self, job: Job, runtime: str, progress: Callable[[int, int], None] | None = None) -> Message:
        """Run a job to its end. Raises the error tree of `edge_runtime.errors`."""
        ...

    def start(self, job: Job, runtime: str) -> Worker:
        """Start a job that is spoken to while it runs."""
        ...
