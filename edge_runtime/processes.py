"""Python processes of our own on this machine: what they need to start, and what a signal that ended one means."""

from __future__ import annotations

import os
import signal
import site
from pathlib import Path

_CRASHED = "its compiled part crashed: try another runtime, or install this one again"
_MEANINGS = {
    signal.SIGILL: "this wheel needs instructions that this processor lacks: use another runtime, or an older version of this one",
    signal.SIGSEGV: _CRASHED,
    signal.SIGBUS: _CRASHED,
    signal.SIGABRT: _CRASHED,
    signal.SIGFPE: "its compiled part divided by zero: the model is damaged, export it again",
    signal.SIGKILL: "somebody ended it, as the system does when memory runs out: close other programs",
}


def of_signal(number: int) -> str:
    """ "SIGILL: this wheel needs instructions …": the signal that ended a process, and what that means of an interpreter."""
    name = signal.Signals(number).name
    return f"{name}: {_MEANINGS[signal.Signals(number)]}" if number in _MEANINGS else name


def local_environment() -> dict[str, str]:
    """For a process here that is to find this very edge_runtime and what lies beside it: a one-file bundle unpacks where no fresh
    interpreter looks. Where it is installed, nothing changes."""
    home = str(Path(__file__).parent.parent)
    if home in site.getsitepackages():
        return dict(os.environ)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))}
