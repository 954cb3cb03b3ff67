"""The parent's side of a job: start the worker process, speak to it, turn its end into an answer or one sentence."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import IO, Any

from edge_runtime import errors
from edge_runtime.errors import EdgeproofError, RuntimeProblem
from edge_runtime.jobs import Job, Message
from edge_runtime.processes import local_environment, of_signal

# -P: the folder the user stands in is not searched for modules, whatever it holds.
LOCAL_COMMAND = (sys.executable, "-P", "-m", "edge_runtime", "job")
_STOP_SECONDS = 10
_SHOWN = 80  # characters of a line that is no message
PATIENCE_SECONDS = 600.0  # for the next message: a damaged model can send an interpreter round in circles


class Worker:
    """A running job. Use as a context manager: the process is gone afterwards, whatever happened."""

    def __init__(self, job: Job, command: Sequence[str] = LOCAL_COMMAND, patience: float = PATIENCE_SECONDS) -> None:
        self._stderr: IO[str] = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 - closed in __exit__; a pipe nobody reads would block the worker
        environment = local_environment() if command is LOCAL_COMMAND else None
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=self._stderr, text=True, errors="replace", env=environment)
        self._name = f"{job['job']} on {job['runtime']}"
        self._patience = patience
        self.send(job)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._close_stdin()
        try:
            self._process.wait(timeout=_STOP_SECONDS if kind is None else 0.1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
        self._stderr.close()

    def send(self, message: Job) -> None:
        """One line to the worker. A worker that has ended is noticed by the next `receive`."""
        try:
            if self._process.stdin:
                self._process.stdin.write(json.dumps(dict(message)) + "\n")
                self._process.stdin.flush()
        except BrokenPipeError:
            pass

    def receive(self) -> Message:
        """The next message. Raises the worker's own error, or RuntimeProblem when it crashed or stays silent."""
        silent = threading.Event()

        def end() -> None:
            silent.set()
            self._process.kill()

        watch = threading.Timer(self._patience, end)
        watch.start()
        try:
            line = self._process.stdout.readline() if self._process.stdout else ""
        finally:
            watch.cancel()
        if silent.is_set() and not line.endswith("\n"):
            raise RuntimeProblem(f"The worker ({self._name}) did not answer within {self._patience:g} s and was ended.")
        if not line.endswith("\n"):  # nothing, or a part of a line: the process ended, or the connection to it
            raise self._crash()
        message = self._read(line)
        if message["event"] == "error":
            raise _error(message)
        return message

    def _read(self, line: str) -> Message:
        try:
            message = json.loads(line)
        except ValueError:
            message = None
        if isinstance(message, dict) and "event" in message:
            return message
        raise RuntimeProblem(f"The worker ({self._name}) said what is no message: {line.strip()[:_SHOWN]!r}.")

    def result(self, progress: Callable[[int, int], None] | None = None) -> Message:
        """Wait for the end of the job; `progress(done, total)` is called on the way."""
        self._close_stdin()
        while (message := self.receive())["event"] != "result":
            if progress and message["event"] == "progress":
                progress(message["done"], message["total"])
        return message

    def _close_stdin(self) -> None:
        try:
            if self._process.stdin and not self._process.stdin.closed:
                self._process.stdin.close()
        except BrokenPipeError:
            pass

    def _crash(self) -> EdgeproofError:
        code = self._process.wait()
        cause = f"was ended by {of_signal(-code)}" if code < 0 else f"ended with exit code {code}"
        lines = [line.strip() for line in self._complaints() if line.strip()]
        said = f" (its last words: {lines[-1]})" if code < 0 and lines else f": {lines[-1]}" if lines else ""
        return RuntimeProblem(f"The worker ({self._name}) {cause}{said}.")

    def _complaints(self) -> list[str]:
        self._stderr.seek(0)
        return self._stderr.readlines()


def _error(message: dict[str, Any]) -> EdgeproofError:
    kind = getattr(errors, message["kind"], EdgeproofError)
    return kind(message["message"])


def run_in_subprocess(job: Job, runtime: str, progress: Callable[[int, int], None] | None = None) -> Message:
    """Run one job with one runtime in a process of its own and return its result.

    Raises the error tree of `edge_runtime.errors`; RuntimeProblem when the interpreter crashed.
    """
    with Worker({**job, "runtime": runtime}) as worker:
        return worker.result(progress)
