"""What several commands print: the result table and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.counts import CountResult
    from benchmarks.peers import PeerRow
    from benchmarks.results import LatencyResult
    from edgeproof.console import Console
    from edgeproof.stages.comparing import References
    from edgeproof.workspace import Workspace


def show_summary(place: Workspace, console: Console, *, verdict: str, seconds: float, failed: dict[str, str]) -> None:
    """What a whole run came to: one line an artifact and runtime, with its cost, and one line about all other kernels."""
    from benchmarks.reports.summary import others_sentence
    from benchmarks.reports.terminal import summary_table
    from edgeproof.stages.showing import summary

    rows, recommendation = summary(place, console)
    fields = {"verdict": verdict, "seconds": seconds, "ship": recommendation.artifact, "why": recommendation.sentence, "failed": failed}
    console.give({**fields, "rows": [vars(row) for row in rows], "workspace": str(place.path)})
    parity = place.read_json("parity.json")
    console.show("")
    console.show(summary_table(rows))
    if others := others_sentence(parity):
        console.show(f"{others}; {place / 'parity.md'} lists them.")
    _show_reasons(parity, console)
    for name, reason in failed.items():
        console.show(f"{name} failed: {reason}")
    console.show(f"\nParity: {verdict} in {seconds:.0f} s. {recommendation.sentence}")
    if failed:
        console.show(f"Exit code 1 all the same: {', '.join(failed)} could not be made.")


def show_verdicts(place: Workspace, console: Console) -> None:
    """What `parity.json` says: one line a row of the full matrix, why what gates does not pass, and which file to ship."""
    from benchmarks.reports.terminal import VerdictTable
    from edgeproof.stages.showing import summary

    parity = place.read_json("parity.json")
    _, recommendation = summary(place, console)
    console.show("")
    console.show(VerdictTable(parity))
    _show_reasons(parity, console)
    console.show(f"\nParity: {parity['verdict']}. {recommendation.sentence}")


def show_measured(
    results: Sequence[LatencyResult | CountResult],
    references: References,
    console: Console,
    most_ms: float | None = None,
    *,
    runtimes: Sequence[str] = (),
    peers: Sequence[PeerRow] = (),
) -> int:
    """A table a target, and how results compare with their reference and predicted times with their limit.

    runtimes: the only ones that were asked for. Programs are given a result's fields, or with several targets {results: [...]}.
    The exit code: 2 if a reference cannot be compared with, 1 if one is slower or nothing was measured, else 3 if a limit lies within an interval.
    """
    from benchmarks.counts import CountResult
    from benchmarks.limits import judge_all
    from benchmarks.reports.instructions import counts_table
    from benchmarks.reports.peers import peers_table
    from benchmarks.reports.predicted import predicted_table
    from benchmarks.reports.terminal import latency_table
    from benchmarks.results import LatencyResult
    from edge_runtime.errors import InputError
    from edgeproof.stages.judging import exit_code

    codes, given = [], []
    for result in results:
        fields = dict(result.fields)
        console.show(counts_table(result) if isinstance(result, CountResult) else latency_table(result))
        if isinstance(result, CountResult) and any(row.predicted("invoke") for row in result.rows):
            console.show("")
            console.show(predicted_table(result))
        if isinstance(result, LatencyResult):
            console.show(_worth(result))
        try:
            compared = references.judge(result, runtimes)
        except InputError as error:  # what was measured is told and kept all the same
            fields["comparison"] = {"verdict": None, "passed": False, "lines": [str(error)]}
            console.say(str(error))
            codes.append(2)
        else:
            if compared:
                verdict, fields["comparison"] = compared
                for line in fields["comparison"]["lines"]:
                    console.show(line)
                codes.append(exit_code(verdict.value))
        if isinstance(result, CountResult) and most_ms is not None and result.rows:
            limited = judge_all(result, most_ms)
            fields["limit"] = {"max_ms": most_ms, "verdict": limited.verdict.value, "lines": limited.lines}
            for line in limited.lines:
                console.show(line)
            codes.append(exit_code(limited.verdict.value))
        given.append(fields)
    if peers:
        given[0]["peers"] = [vars(row) for row in peers]
        console.show("")
        console.show(peers_table(peers))
        for row in peers:
            if row.reason:
                console.show(f"{row.title} on {row.runtime}: {row.reason}")
    console.give(given[0] if len(given) == 1 else {"results": given})
    if not any(result.rows for result in results):
        console.show("Nothing could be measured: see the reasons above, and edgeproof doctor.")
        return 1
    if any(isinstance(result, CountResult) for result in results):
        console.show("Instructions compare within one format, runtime and core: they tell a regression, not which format is faster.")
    if not all(isinstance(result, CountResult) for result in results):
        console.show("Microseconds of the machine named: ratios travel, times do not.")
    return next((code for code in (2, 1, 3) if code in codes), 0)


def _worth(result: LatencyResult) -> str:
    """What the times of a session are worth, in a sentence or more."""
    from benchmarks.results import MOST_INTERRUPTED_P99
    from benchmarks.steadiness import contradicts_itself, too_short
    from benchmarks.validity import INVALID
    from edge_runtime.bench import FLOORS

    told = [f"Times of {result.target} are {result.validity}."]
    if result.validity.startswith(INVALID) and not contradicts_itself(result.aa):
        told.append("Ratios between its rows hold: they were timed in turns.")
    if too_short(result.aa):
        told.append("Fewer than 20 rounds were taken, too few to judge the session by: give a longer --seconds.")
    paced = [len(row.samples["predict"]) for row in result.rows if row.rate_hz]
    if paced and min(paced) < FLOORS["p99"]:
        told.append(f"A pace gives few samples ({min(paced)}): p90 takes {FLOORS['p90']}, p99 {FLOORS['p99']}, by --seconds.")
    if any(row.crowded for row in result.rows):
        told.append(f"No p99 where others took the processor in more than {MOST_INTERRUPTED_P99:.0%} of the runs: it would be theirs.")
    return " ".join(told)


def _show_reasons(parity: Mapping[str, Any], console: Console) -> None:
    """What speaks against the baseline, why what gates does not pass, and the layers of what fails."""
    from benchmarks.reports.terminal import layer_tables
    from benchmarks.reports.wording import doubt, reasons

    if doubted := doubt(parity["baseline"]):
        console.show(doubted)
    for line in reasons(parity):
        console.show(line)
    for table in layer_tables(parity):
        console.show("")
        console.show(table)


def next_commands(place: Workspace, artifact: str | None) -> str:
    if artifact is None:
        return f"Next: read {place / 'parity.md'}: it says what would decide, or which hop loses the answers."
    model = shlex.quote(str(place / "artifacts" / artifact))
    return f"Next: edgeproof predict picture.png{place.option}\n      python -m edge_runtime classify picture.png --model {model}"
