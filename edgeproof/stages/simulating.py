"""What parity on a board does otherwise: golden vectors first, before minutes of running; on a simulated one, fewer rows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from benchmarks.matrix import Cell
from benchmarks.targets.base import Target
from benchmarks.targets.simulated import SimulatedTarget
from edge_runtime.errors import EdgeproofError, TargetError, first_line
from edgeproof.console import Console
from edgeproof.stages.places import golden_file, prepare_simulated
from edgeproof.workspace import Workspace

ONNX_IMAGES = 1000  # on boards, ONNX Runtime is a diagnostic


def simulated_cells(matrix: Sequence[Cell], images: int, *, every_kernel: bool) -> list[Cell]:
    """The cells that run on a simulated board: default kernels only, unless others were named, and ONNX Runtime on the first 1,000 images."""
    limit = ONNX_IMAGES if images > ONNX_IMAGES else None
    kept = [cell for cell in matrix if every_kernel or cell.kernels == "default"]
    return [replace(cell, images=limit) if cell.runtime == "onnxruntime" else cell for cell in kept]


def before_long_run(workspace: Workspace, console: Console, target: Target, matrix: Sequence[Cell]) -> None:
    """Make the board, if it is a simulated one, then put the golden vectors to each row: what answers otherwise is said within seconds.

    The verdict is not theirs.
    """
    if isinstance(target, SimulatedTarget):
        prepare_simulated(target, [cell.runtime for cell in matrix], console)
    file = golden_file(workspace)
    if file is None:
        return

    def test(cell: Cell) -> str:
        """What is wrong; nothing if nothing is."""
        job = {"job": "selftest", "model": str(cell.artifact.path), "golden": str(file), "kernels": cell.kernels, "assume": cell.artifact.assume}
        try:
            answer = target.run(job, cell.runtime)
        except TargetError:  # of the board, not of the row
            raise
        except EdgeproofError as error:
            return first_line(error)
        if answer["passed"]:
            return ""
        labels, difference = f"{answer['labels_differing']} of {answer['images']} labels differ", answer["largest_difference"]
        return f"{labels}, outputs by {difference:.2%} of their range (tolerated {answer['tolerance']:.2%})"

    wrong = 0
    with console.progress(f"Golden vectors on {target.name}") as progress, ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for index, (cell, problem) in enumerate(zip(matrix, pool.map(test, matrix), strict=True)):
            progress(index + 1, len(matrix), f"{cell.artifact.format} on {cell.runtime}")
            if problem:
                wrong += 1
                console.say(f"Golden vectors of {cell.artifact.path.name} on {cell.runtime} at {target.name}: {problem}")
    console.say(f"Golden vectors on {target.name}: {len(matrix) - wrong} of {len(matrix)} rows answer as when they were made.")
