"""Time per inference on a board, predicted from what ran on the simulated one.

    milliseconds = scale × sum of weight × events / clock          events: cycles by LLVM's model of the core, lines moved by the caches

The weights and the error are of the board: `python -m evidence.boards` finds them by running networks whose times on that board were
published, and writes them to board_times.json. A prediction is always given with its interval: what the errors of those networks, each
predicted without itself, leave open. The scale is 1, unless the owner of a board measured that very board (benchmarks/calibration.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.boards import BOARDS
from benchmarks.caches import Traffic
from benchmarks.instructions import EMPTY, SCOPES, Block, Counted
from benchmarks.mca import Analyser
from edge_runtime.errors import InputError

TIMES = Path(__file__).with_name("board_times.json")
SCHEMA = 1
CYCLES = "cycles"
MOVED = "moved"  # lines between the second cache and what is behind it, fetched or written back

# Which of LLVM's models stand for a core; of several, the mean. It has none of the A76, of which Neoverse N1 is the server's variant. What it has
# of the A53 knows no forwarding between multiply-adds, as that of the A55, its in-order successor, does. For the A72 it takes the older A57's
# model, whose floating-point pipelines are slower. docs/boards.md has the errors of each.
LLVM_CORES: Mapping[str, tuple[str, ...]] = {
    "cortex-a53": ("cortex-a55",),
    "cortex-a72": ("cortex-a72", "cortex-a55"),
    "cortex-a76": ("neoverse-n1",),
}


@dataclass(frozen=True)
class BoardTimes:
    """How events become time on a board, and how well that is known."""

    board: str
    clock_mhz: int
    weights: Mapping[str, float]  # clock cycles an event
    low: float  # the interval, as factors of the prediction
    high: float
    source: str
    scale: float = 1.0
    measured: str = ""  # where and when the scale was measured; nothing for the published one

    def milliseconds(self, events: Mapping[str, float]) -> float:
        return self.scale * sum(weight * events[name] for name, weight in self.weights.items()) / (self.clock_mhz * 1e3)


@dataclass(frozen=True)
class Prediction:
    """Predicted time of one inference, one thread."""

    instructions: float
    cycles: float  # by LLVM's model, as if everything were in the first cache
    milliseconds: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"predicted {digits(self.milliseconds)} ms ({self.interval})"

    @property
    def interval(self) -> str:
        return f"{digits(self.low)} to {digits(self.high)}"


def predict_times(
    board: str, counted: Sequence[Counted], analyser: Analyser, times: BoardTimes | None = None, *, scopes: Sequence[str] = SCOPES
) -> list[dict[str, Prediction]]:
    """For each that was counted on the simulated board, the prediction of each scope; none for one that could not be counted.

    times: the board's, where they are not the published ones. Raises RuntimeMissingError without LLVM.
    """
    times = times or board_times(board)
    ran = [(one, scope) for one in counted if not one.reason for scope in scopes]
    events = iter(count_events([(one.per_inference(scope), _traffic(one, scope)) for one, scope in ran], LLVM_CORES[BOARDS[board].core], analyser))
    return [{scope: _prediction(times, next(events)) for scope in scopes} if not one.reason else {} for one in counted]


def count_events(
    ran: Sequence[tuple[Mapping[Block, float], Mapping[str, float]]], llvm_cores: Sequence[str], analyser: Analyser
) -> list[dict[str, float]]:
    """Events of one inference, from the blocks it ran and its traffic: those that weights can be given to, and `instructions`."""
    pieces = {block.code for blocks, _ in ran for block, executions in blocks.items() if executions > 0}
    with ThreadPoolExecutor(len(llvm_cores)) as pool:
        models = list(pool.map(lambda core: analyser.cycles(pieces, core), llvm_cores))
    cycles = {piece: sum(model[piece] for model in models) / len(models) for piece in pieces}
    return [
        {
            **traffic,
            MOVED: traffic["l2"] + traffic["l2_written"],
            CYCLES: sum(executions * cycles[block.code] for block, executions in blocks.items() if executions > 0),
            "instructions": sum(executions * block.instructions for block, executions in blocks.items()),
        }
        for blocks, traffic in ran
    ]


def per_inference(ran: Traffic, empty: Traffic, runs: int) -> dict[str, float]:
    """Traffic of one inference, from a window of `runs` and one of none. Never below zero: the marks themselves miss now and then."""
    return {name: max(0.0, (ran[name] - empty[name]) / runs) for name in ran}


def _traffic(one: Counted, scope: str) -> dict[str, float]:
    return per_inference(one.traffic[scope], one.traffic[EMPTY], one.runs)


def _prediction(times: BoardTimes, events: Mapping[str, float]) -> Prediction:
    value = times.milliseconds(events)
    return Prediction(events["instructions"], events[CYCLES], value, value * times.low, value * times.high)


def faster(one: Prediction, other: Prediction) -> bool | None:
    """Which of two on the same board; None where their intervals overlap: not decided."""
    if one.high < other.low:
        return True
    return False if other.high < one.low else None


def digits(milliseconds: float) -> str:
    """Three digits: more would claim more than is known."""
    return f"{milliseconds:#.3g}".rstrip(".") if milliseconds < 1000 else f"{milliseconds:.0f}"


@cache
def _constants() -> dict[str, Any]:
    fields = json.loads(TIMES.read_text())
    if fields["schema"] != SCHEMA:
        raise InputError(f"{TIMES} has schema {fields['schema']}, this edgeproof reads {SCHEMA}.")
    return dict(fields)


def board_times(board: str) -> BoardTimes:
    """The published constants of a board (a name of `benchmarks.boards.BOARDS`)."""
    fields = _constants()
    own = fields["boards"][board]
    return BoardTimes(board, own["clock_mhz"], own["weights"], own["low"], own["high"], fields["source"])
