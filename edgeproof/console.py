"""The terminal: progress on stderr, results on stdout, plain text where nobody watches."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
import warnings
from collections.abc import Iterator
from typing import Any

from edge_runtime.native_output import silenced
from edge_runtime.progress import Progress

_PLAIN_SECONDS = 15.0  # between progress lines in a log


class Console:
    """What a command says. With `as_json`, stdout carries one JSON object and nothing else."""

    def __init__(self, *, as_json: bool = False, verbose: bool = False) -> None:
        from rich.console import Console as RichConsole

        self.as_json = as_json
        self.verbose = verbose
        # Own descriptors: they still reach the terminal while native libraries' output is put away.
        self._out = RichConsole(file=os.fdopen(os.dup(1), "w"), width=_width(1), soft_wrap=not os.isatty(1), highlight=False)
        self._err = RichConsole(file=os.fdopen(os.dup(2), "w"), width=_width(2), soft_wrap=not os.isatty(2), highlight=False)

    def say(self, text: str) -> None:
        """A sentence of progress."""
        self._err.print(text, markup=False)

    def show(self, renderable: Any) -> None:
        """A result for people: a table or a sentence. Left out with --json."""
        if not self.as_json:
            self._out.print(renderable, markup=not isinstance(renderable, str))  # 'edgeproof[check]' is no markup
            self._out.file.flush()

    def give(self, fields: dict[str, Any]) -> None:
        """A result for programs: only with --json."""
        if self.as_json:
            self._out.file.write(json.dumps(fields) + "\n")
            self._out.file.flush()

    @contextlib.contextmanager
    def progress(self, title: str) -> Iterator[Progress]:
        """A bar on a terminal, now and then a line elsewhere; ends with the time it took."""
        begin = time.perf_counter()
        watched = self._err.is_terminal
        with self._bar(title) if watched else self._lines(title) as advance:
            yield advance
        self.say(f"{title}: {time.perf_counter() - begin:.0f} s")

    @contextlib.contextmanager
    def _bar(self, title: str) -> Iterator[Progress]:
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
        )
        with Bar(*columns, console=self._err, transient=True) as bar:
            task = bar.add_task(title, total=None, note="")
            yield lambda done, total, note: bar.update(task, completed=done, total=total, note=note)

    @contextlib.contextmanager
    def _lines(self, title: str) -> Iterator[Progress]:
        spoken = time.perf_counter()
        self.say(f"{title} …")

        def advance(done: int, total: int, note: str) -> None:
            nonlocal spoken
            if time.perf_counter() - spoken >= _PLAIN_SECONDS:
                spoken = time.perf_counter()
                self.say(f"{title}: {100 * done // max(total, 1)} % {note}".rstrip())

        yield advance

    @contextlib.contextmanager
    def natives_silenced(self) -> Iterator[None]:
        """Put away what TensorFlow's C++ prints on both descriptors, and Python's library warnings. Not with -v."""
        if self.verbose:
            yield
            return
        for name in (None, "tensorflow", "absl", "tf2onnx"):
            logging.getLogger(name).setLevel(logging.ERROR)
        with silenced(1, 2), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield


def _width(descriptor: int) -> int | None:
    """None lets rich ask the terminal; a log or a file gets lines long enough for the widest table."""
    return None if os.isatty(descriptor) else 160
