"""Makes a Python process that of a made-up board: what the kernel tells comes from a folder, and time passes only while an interpreter works.

Python imports this at its start, where the folder of this file is on PYTHONPATH. FAKE_BOARD names the folder: `proc` and `sys` as a board has
them, and `times.json`: {runtime: {sha256 of a model: [nanoseconds of an inference, of what the scope `predict` adds]}}.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ["FAKE_BOARD"])
TOLD = ("/proc/cpuinfo", "/proc/device-tree", "/sys")  # where a kernel tells what a machine is
MODULES = {"ai_edge_litert.interpreter": "ai-edge-litert", "tflite_runtime.interpreter": "tflite-runtime"}

_now = 0
_timed: set[str] = set()
_import_module, _read_text, _exists, _glob = importlib.import_module, Path.read_text, Path.exists, Path.glob


def _there(path: Path) -> Path:
    return FOLDER / str(path).lstrip("/") if str(path).startswith(TOLD) else path


def _read_there(self: Path, *arguments: Any, **named: Any) -> str:
    return _read_text(_there(self), *arguments, **named)


def _exists_there(self: Path) -> bool:
    return _exists(_there(self))


def _glob_there(self: Path, pattern: str) -> Iterator[Path]:
    return _glob(FOLDER if self == Path("/") else _there(self), pattern)


def _pass(nanoseconds: int) -> None:
    global _now
    _now += nanoseconds


def _clock() -> int:
    """A nanosecond later at each reading: whoever waits for the clock to move would wait for ever."""
    _pass(1)
    return _now


def _import_timed(name: str, package: str | None = None) -> Any:
    module = _import_module(name, package)
    if name in MODULES and name not in _timed:
        _timed.add(name)
        times = json.loads(_read_text(FOLDER / "times.json"))[MODULES[name]]

        class Interpreter(module.Interpreter):  # type: ignore[misc]
            """The real one, which takes as long as the table says."""

            def __init__(self, *, model_content: bytes, **named: Any) -> None:
                super().__init__(model_content=model_content, **named)
                self._inference, self._around = times[hashlib.sha256(model_content).hexdigest()]

            def set_tensor(self, index: int, value: Any) -> None:
                super().set_tensor(index, value)
                _pass(self._around)

            def invoke(self) -> None:
                super().invoke()
                _pass(self._inference)

        module.Interpreter = Interpreter
    return module


importlib.import_module = _import_timed
time.perf_counter_ns = _clock
Path.read_text = _read_there  # type: ignore[assignment]
Path.exists = _exists_there  # type: ignore[method-assign,assignment]
Path.glob = _glob_there  # type: ignore[method-assign,assignment]
