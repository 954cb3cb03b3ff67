"""The `edgeproof` program, and `python -m edgeproof`. Imports nothing before it can say what is missing."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from glob import glob
from pathlib import Path
from typing import Any

_OURS = {"train", "export", "benchmarks", "edge_runtime", "edgeproof"}
_CHECK = {"typer", "rich", "jinja2", "altair", "vl_convert", "PIL", "flatbuffers", "google", "onnxruntime", "ai_edge_litert", "shiv"}


def script() -> None:
    """Run the command line and exit with its code."""
    signal.signal(signal.SIGTERM, _interrupt)  # as `timeout`, a supervisor or a CI job that is cancelled ends it
    try:
        from edgeproof.cli import main
    except ModuleNotFoundError as error:
        print(f"error: {missing_package(error)}", file=sys.stderr)
        sys.exit(2)
    sys.exit(main())


def _interrupt(number: int, frame: Any) -> None:
    """End as after Ctrl-C. A terminal interrupts workers and emulators, too; this signal came to one process alone."""
    for children in glob("/proc/self/task/*/children"):
        for child in Path(children).read_text().split():
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(int(child), signal.SIGTERM)
    raise KeyboardInterrupt


def missing_package(error: ModuleNotFoundError) -> str:
    """Which extra brings the missing package. Raises the error itself when it is a module of ours: that is a fault, not a choice."""
    name = (error.name or "").split(".")[0]
    if not name or name in _OURS:
        raise error
    extra = "check" if name in _CHECK else "toolkit"
    return f"This command needs {name}, which is not installed: pip install 'edgeproof[{extra}]'."


if __name__ == "__main__":
    script()
