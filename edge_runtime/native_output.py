"""Interpreters print greetings from C++, past Python's sys.stderr ("INFO: Created TensorFlow Lite XNNPACK delegate"). Commands put them away."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def silenced(*descriptors: int) -> Iterator[None]:
    """Send file descriptors (1 = stdout, 2 = stderr) of the whole process to nowhere for a while. For programs, not for libraries."""
    _flush()
    kept = {}
    for descriptor in descriptors:
        with contextlib.suppress(OSError):  # closed: nothing to silence
            kept[descriptor] = os.dup(descriptor)
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        for descriptor in kept:
            os.dup2(sink, descriptor)
        yield
    finally:
        _flush()
        for descriptor, original in kept.items():
            os.dup2(original, descriptor)
            os.close(original)
        os.close(sink)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream:  # None where the program was started with a closed one
            stream.flush()
