"""Whether times may be called the machine's: VALID, or INVALID with the reasons. What its sensors tell; see also `benchmarks.steadiness`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from edge_runtime.board import SINCE_BOOT, host_facts, reading, throttle_words
from edge_runtime.worker import Worker

VALID, INVALID = "VALID", "INVALID"
_READ_EVERY_SECONDS = 1.0
CLOCK_SHARE = 0.02  # a clock that moved by less is the same one, rounded
TURBO_SHARE = 0.10  # and a desktop's, which is never still while its cores take turns at the highest step
_NOW = (1 << SINCE_BOOT) - 1

Reading = Mapping[str, Any]  # of edge_runtime.board.reading or full_reading


@dataclass(frozen=True)
class Validity:
    verdict: str
    reasons: tuple[str, ...]


def verdict_on(reasons: Sequence[str]) -> dict[str, Any]:
    """What a result's `validity` is: {verdict, reasons}."""
    return {"verdict": INVALID if reasons else VALID, "reasons": list(reasons)}


def in_words(validity: Mapping[str, Any] | None) -> str:
    """ "VALID", "INVALID: the reasons", or "" where nobody judged."""
    return ": ".join(filter(None, [validity["verdict"], "; ".join(validity["reasons"])])) if validity else ""


def judge(facts: Mapping[str, Any], before: Reading, during: Sequence[Reading], after: Reading) -> Validity:
    """facts: of edge_runtime.board.board_facts. before, after: with throttle bits, of an idle board. during: while it was timed."""
    reasons = [f"a virtual machine, not a board ({facts['virtual']})"] if facts["virtual"] else []
    reasons += _throttled(before, after)
    reasons += _slowed((before, *during, after)) + _moved(during, facts["governor"], CLOCK_SHARE)
    return Validity(INVALID if reasons else VALID, tuple(reasons))


def _slowed(readings: Sequence[Reading]) -> list[str]:
    return ["the kernel slowed the processor down for heat"] if any(one["cooling"] for one in readings) else []


def _moved(during: Sequence[Reading], governor: str, share: float) -> list[str]:
    clocks = [one["clock_khz"] for one in during if one["clock_khz"]]
    if not clocks or min(clocks) >= (1 - share) * max(clocks):
        return []
    moved = f"the clock moved between {min(clocks) / 1000:.0f} and {max(clocks) / 1000:.0f} MHz"
    return [moved if governor in ("performance", "") else f"{moved} (governor {governor}: set performance)"]


def _throttled(before: Reading, after: Reading) -> list[str]:
    """What the firmware says was so when it began or ended, or came to be so in between."""
    first, last = before["throttled"] or 0, after["throttled"] or 0
    came = (last & ~first) >> SINCE_BOOT
    words = throttle_words((first | last | came) & _NOW)
    return [f"{' and '.join(words)} while it was timed"] if words else []


@dataclass
class LocalWatch:
    """Reads this machine's sensors while it is timed: files of the kernel's, once a second."""

    during: list[Reading] = field(default_factory=list)
    _last: float = 0.0

    def read(self) -> None:
        """Called between two rounds, as often as one likes."""
        if time.monotonic() - self._last >= _READ_EVERY_SECONDS:
            self._last = time.monotonic()
            self.during.append(reading())

    def faults(self) -> list[str]:
        return _slowed(self.during) + _moved(self.during, host_facts()["governor"], TURBO_SHARE)


@dataclass
class Watch:
    """Reads a board before, during and after a run, through a running job `board`. Use as a context manager around it."""

    worker: Worker
    facts: dict[str, Any] = field(default_factory=dict)
    during: list[Reading] = field(default_factory=list)
    _last: float = 0.0

    def __enter__(self) -> Watch:
        self.worker.__enter__()
        self.facts = {name: value for name, value in self.worker.receive().items() if name != "event"}
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        try:
            if kind is None:
                self.facts["after"] = self.worker.result()["reading"]
        finally:
            self.worker.__exit__(kind, error, trace)

    def read(self) -> None:
        """Called between two runs, as often as one likes: reads once a second."""
        if time.monotonic() - self._last >= _READ_EVERY_SECONDS:
            self._last = time.monotonic()
            self.worker.send({})
            self.during.append(self.worker.receive()["reading"])

    @property
    def fields(self) -> dict[str, Any]:
        """What a latency result says of the board: {host, board, validity}."""
        board = {**self.facts["board"], "before": self.facts["before"], "during": self.during, "after": self.facts["after"]}
        return {"host": self.facts["host"], "board": board, "validity": asdict(self.validity)}

    @property
    def validity(self) -> Validity:
        return judge(self.facts["board"], self.facts["before"], self.during, self.facts["after"])
