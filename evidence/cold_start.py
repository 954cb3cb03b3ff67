"""From starting a process to its first answer: `classify` against the shortest script that does the same with the same interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.statistics import ratio_interval
from edge_runtime.errors import RuntimeProblem
from edge_runtime.interpreter import RUNTIMES
from edgeproof.workspace import Workspace
from evidence.findings import Finding, Places

SLOWEST_TO_BARE = 1.15
PAIRS = 101  # a start takes a seventh of a second; with 41 the ratio still varied by a twentieth
BARE_TFLITE = """
import sys
import numpy as np
from {module} import Interpreter

pixels = np.load(sys.argv[1])
interpreter = Interpreter(model_path=sys.argv[2], num_threads=1)
interpreter.allocate_tensors()
first, last = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
interpreter.set_tensor(first["index"], (pixels ^ 0x80).view(np.int8).reshape(first["shape"]))
interpreter.invoke()
print(interpreter.get_tensor(last["index"]).argmax())
"""
BARE_ONNX = """
import sys
import numpy as np
import {module}

pixels = np.load(sys.argv[1])
options = {module}.SessionOptions()
options.intra_op_num_threads = 1
session = {module}.InferenceSession(sys.argv[2], options, providers=["CPUExecutionProvider"])
first = session.get_inputs()[0]
print(session.run(None, {{first.name: (pixels / 255).astype(np.float32).reshape(first.shape)}})[0].argmax())
"""


def prove(places: Places) -> list[Finding]:
    command = places.command("cold-start")
    return [cold_start(Workspace(places.compact), runtime, PAIRS, command) for runtime in RUNTIMES]


def cold_start(workspace: Workspace, runtime: str, pairs: int, command: str) -> Finding:
    """Process starts in turns, the first of a pair by turns; every module compiled beforehand, as an installed one is."""
    tflite = RUNTIMES[runtime].suffix == ".tflite"
    artifacts = {artifact.format: artifact.path for artifact in workspace.artifacts()}
    model = str(artifacts["tflite-int8" if tflite else "onnx-int8"])
    with tempfile.TemporaryDirectory(prefix="edgeproof-") as folder:
        image, script = Path(folder) / "image.npy", Path(folder) / "bare.py"
        np.save(image, workspace.read_arrays("validation.npz")["images"][0, ..., 0])
        script.write_text((BARE_TFLITE if tflite else BARE_ONNX).format(module=RUNTIMES[runtime].module))
        bare = [sys.executable, "-P", str(script), str(image), model]
        ours = [sys.executable, "-P", "-m", "edge_runtime", "classify", str(image), "--model", model, "--runtime", runtime]
        times = np.array(_in_turns((bare, ours), Path(folder), pairs))
    ratio, low, high = ratio_interval(times[:, 1], times[:, 0])
    return Finding(
        f"compact, int8 on {runtime}: start of the process to the first answer, `classify IMAGE.npy` against a script of its own",
        f"≤ {SLOWEST_TO_BARE:.2f} times",
        f"{ratio:.3f} times (99 % interval {low:.3f} to {high:.3f}), {pairs} interleaved pairs of process starts",
        ratio <= SLOWEST_TO_BARE,
        command,
    )


def _in_turns(commands: Sequence[list[str]], folder: Path, pairs: int) -> list[list[float]]:
    """Seconds [pairs, commands]; one start of each goes before, unrecorded."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(folder / "compiled")
    times = []
    for turn in range(-1, pairs):
        seconds = {index: _start(commands[index], environment) for index in (range(len(commands)) if turn % 2 else reversed(range(len(commands))))}
        if turn >= 0:
            times.append([seconds[index] for index in range(len(commands))])
    return times


def _start(command: list[str], environment: dict[str, str]) -> float:
    begin = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - begin
    if done.returncode:
        raise RuntimeProblem(f"`{' '.join(command)}` failed: {done.stderr.strip().splitlines()[-1]}")
    return seconds
