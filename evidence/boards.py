"""`python -m evidence.boards FOLDER`: find how simulated boards' events become time, from networks with published times, and how wrong that is.

Runs the networks of FOLDER (see evidence/networks.py) on every simulated board, and writes benchmarks/board_times.json, docs/boards.md and
its figures. With --test, only says how far the constants that are there now are from these times.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.boards import BOARDS
from benchmarks.mca import Analyser
from benchmarks.predict import LLVM_CORES, SCHEMA, TIMES, board_times, count_events
from benchmarks.targets.simulated import PREFIX, SIMULATED, SimulatedTarget
from edge_runtime.errors import EdgeproofError, InputError
from edgeproof.cache import cache_folder
from edgeproof.console import Console
from edgeproof.stages.bundling import supply
from evidence.boards_page import figure, page
from evidence.findings import ROOT
from evidence.networks import NCNN, Published, Ran, read_published, run_all
from evidence.weights import Fit, Row, Way, fit, interval_factor, nested_errors

PAGE = ROOT / "docs/boards.md"
_FIGURES = "figures"  # beside the page


@dataclass(frozen=True)
class Step:
    """A way to come from events to time. `llvm_cores`: where other models of LLVM's stand for a core than in LLVM_CORES."""

    about: str
    events: tuple[str, ...]
    llvm_cores: Mapping[str, tuple[str, ...]]
    shared: tuple[str, ...] = ()


_OWN_NAMES = {core: (core,) for core in LLVM_CORES}
_A72 = {"cortex-a72": ("cortex-a72",)}
_BOTH = ("cycles", "l1d", "moved")
_OF_CORES = ("cycles", "l1d")
STEPS = (
    Step("instructions alone", ("instructions",), {}),
    Step("cycles, LLVM's model of the core's name", ("cycles",), _OWN_NAMES),
    Step("cycles, A55's model for the A53, Neoverse N1's for the A76", ("cycles",), _A72),
    Step("and lines that the first cache misses", ("cycles", "l1d"), _A72),
    Step("or lines that the second cache misses", ("cycles", "l2"), _A72),
    Step("or lines that it moves: fetched, or written back", ("cycles", "moved"), _A72),
    Step("missed by the first and moved by the second", _BOTH, _A72),
    Step("the same, mean of the A72's and A55's models for the A72", _BOTH, {}),
    Step("the same, but moved lines alone have a weight of each board where boards share a core", _BOTH, {}, _OF_CORES),
    Step("mean of the A55's and Neoverse N1's models for the A72", _BOTH, {"cortex-a72": ("cortex-a55", "neoverse-n1")}, _OF_CORES),
    Step("mean of Neoverse N1's and N2's models for the A76", _BOTH, {"cortex-a76": ("neoverse-n1", "neoverse-n2")}, _OF_CORES),
    Step("mean of the A53's and A55's models for the A53", _BOTH, {"cortex-a53": ("cortex-a53", "cortex-a55")}, _OF_CORES),
)
CHOSEN = STEPS[8]

Results = dict[str, dict[str, Ran]]


def main(arguments: list[str] | None = None) -> int:
    """0, or 2 with one line that says what is wrong."""
    options = _options(arguments)
    console = Console()
    try:
        published = read_published(options.folder)
        found, reasons = _run(published, options.boards, console)
        analyser = Analyser(cache_folder())
        if options.test:
            _test(published, found, analyser)
        else:
            _write(published, found, reasons, analyser)
    except EdgeproofError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for network, reason in reasons.items():
        console.say(f"{network} is left out: {reason}")
    return 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m evidence.boards", description=__doc__)
    parser.add_argument("folder", type=Path, help="networks (*.param) and their published times (published.json)")
    parser.add_argument("--test", action="store_true", help="write nothing: test the constants that are there on these networks")
    parser.add_argument("--boards", nargs="+", choices=sorted(BOARDS), default=list(BOARDS), help="only these (default: all); needs --test")
    options = parser.parse_args(arguments)
    if not options.test and len(options.boards) < len(BOARDS):
        parser.error("--boards needs --test: the constants are written for all boards at once")
    return options


def _run(published: Published, boards: Sequence[str], console: Console) -> tuple[Results, dict[str, str]]:
    targets = [SimulatedTarget(SIMULATED[f"{PREFIX}{board}"], supply(console), cache_folder()) for board in boards]
    for target in targets:
        target.require(counting=True)
        with console.progress(f"System of {target.name}") as progress:
            target.system(progress)
    with console.progress("Networks on simulated boards") as progress:
        return run_all(published, targets, cache_folder(), progress)


def rows_of(board: str, found: Mapping[str, Ran], published: Published, llvm_cores: Sequence[str], analyser: Analyser) -> list[Row]:
    """What each network did on a board beside its published time."""
    events = count_events([(ran.blocks, ran.traffic) for ran in found.values()], llvm_cores, analyser)
    return [Row(name, one, published.milliseconds[board][name], _kind(name)) for name, one in zip(found, events, strict=True)]


def _kind(network: str) -> str:
    return "int8" if network.endswith("int8") else "float"


def _factors(fits: Mapping[str, Fit]) -> dict[str, float]:
    """The interval of each board: its own, but never narrower than that of all boards' errors together, which are four times as many."""
    together = interval_factor([size for fit in fits.values() for size in fit.sizes])
    return {board: max(interval_factor(fit.sizes), together) for board, fit in fits.items()}


def _ways(step: Step, published: Published, found: Results, analyser: Analyser) -> dict[str, Way]:
    """By core, how the step predicts."""
    ways = {}
    for core in dict.fromkeys(BOARDS[board].core for board in found):
        boards = [board for board in found if BOARDS[board].core == core]
        models = step.llvm_cores.get(core, LLVM_CORES[core])
        rows = {board: rows_of(board, found[board], published, models, analyser) for board in boards}
        ways[core] = Way(rows, {board: BOARDS[board].clock_mhz for board in boards}, step.events, step.shared)
    return ways


def _fits(ways: Mapping[str, Way]) -> dict[str, Fit]:
    return {board: one for way in ways.values() for board, one in fit(way).items()}


def _write(published: Published, found: Results, reasons: Mapping[str, str], analyser: Analyser) -> None:
    least = min(len(networks) for networks in found.values())
    if least < 2 + len(CHOSEN.events):
        raise InputError(f"{published.folder}: {least} networks ran on one of the boards, too few to fit {len(CHOSEN.events)} weights.")
    tried = {step.about: _ways(step, published, found, analyser) for step in STEPS}
    ablation = {about: _fits(ways) for about, ways in tried.items()}
    nested = {board: errors for core in tried[CHOSEN.about] for board, errors in nested_errors([ways[core] for ways in tried.values()]).items()}
    rows = {board: list(some) for way in tried[CHOSEN.about].values() for board, some in way.boards.items()}
    chosen = {board: (rows[board], one) for board, one in ablation[CHOSEN.about].items()}
    factors = _factors({board: one for board, (_, one) in chosen.items()})
    constants = {
        "schema": SCHEMA,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "source": published.source,
        "with": {"llvm": analyser.version, "ncnn": NCNN},
        "boards": {board: _constants(board, one, factors[board]) for board, (_, one) in chosen.items()},
    }
    TIMES.write_text(json.dumps(constants, indent=1) + "\n")
    for board, (some, one) in chosen.items():
        figure(BOARDS[board].title, some, one, factors[board], PAGE.parent / _FIGURES / f"board-{board}.svg")
    PAGE.write_text(page(constants, chosen, ablation, CHOSEN.about, nested, reasons))
    print(f"Written: {TIMES}, {PAGE} and its figures")


def _constants(board: str, one: Fit, factor: float) -> dict[str, object]:
    errors = {"mean": one.mean, "median": one.median, "worst": one.worst}
    return {
        "clock_mhz": BOARDS[board].clock_mhz,
        "weights": {name: round(weight, 4) for name, weight in one.weights.items()},
        "low": round(1 / factor, 4),
        "high": round(factor, 4),
        "networks": len(one.ratios),
        "covered": one.covered(factor),
        "leave_one_out": {name: round(value, 4) for name, value in errors.items()},
    }


def _test(published: Published, found: Results, analyser: Analyser) -> None:
    """How far the constants are from these times; nothing is fitted."""
    for board, networks in found.items():
        times = board_times(board)
        inside, errors = 0, []
        for row in rows_of(board, networks, published, LLVM_CORES[BOARDS[board].core], analyser):
            predicted = times.milliseconds(row.events)
            inside += times.low * predicted <= row.published <= times.high * predicted
            errors.append(abs(predicted / row.published - 1))
            print(
                f"{board:6} {row.network:20} published {row.published:8.2f} ms  predicted {predicted:8.2f} ms  {predicted / row.published - 1:+.1%}"
            )
        if errors:
            print(f"{board:6} mean error {sum(errors) / len(errors):.1%}, worst {max(errors):.1%}, in the interval {inside} of {len(errors)}")


if __name__ == "__main__":
    sys.exit(main())
