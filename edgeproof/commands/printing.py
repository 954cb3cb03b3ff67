"""What several commands print: the result table and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeproof.console import Console
    from edgeproof.workspace import Workspace


def show_summary(place: Workspace, console: Console, *, verdict: str, seconds: float, failed: dict[str, str]) -> None:
    """What a whole run came to: one line an artifact and runtime, with its cost, and one line about all other kernels."""
    from benchmarks.reports.summary import others_sentence
    from benchmarks.reports.terminal import summary_table
    from benchmarks.reports.wording import reasons
    from edgeproof.stages.showing import summary

    rows, recommendation = summary(place, console)
    fields = {"verdict": verdict, "seconds": seconds, "ship": recommendation.artifact, "why": recommendation.sentence, "failed": failed}
    console.give({**fields, "rows": [vars(row) for row in rows], "workspace": str(place.path)})
    parity = place.read_json("parity.json")
    console.show("")
    console.show(summary_table(rows))
    if others := others_sentence(parity):
        console.show(f"{others}; {place / 'parity.md'} lists them.")
    for line in reasons(parity):
        console.show(line)
    for name, reason in failed.items():
        console.show(f"{name} failed: {reason}")
    console.show(f"\nParity: {verdict} in {seconds:.0f} s. {recommendation.sentence}")


def show_verdicts(place: Workspace, console: Console) -> None:
    """What `parity.json` says: one line a row of the full matrix, why what gates does not pass, and which file to ship."""
    from benchmarks.reports.terminal import VerdictTable
    from benchmarks.reports.wording import reasons
    from edgeproof.stages.showing import summary

    parity = place.read_json("parity.json")
    _, recommendation = summary(place, console)
    console.show("")
    console.show(VerdictTable(parity))
    for line in reasons(parity):
        console.show(line)
    console.show(f"\nParity: {parity['verdict']}. {recommendation.sentence}")


def next_commands(place: Workspace, artifact: str | None) -> str:
    if artifact is None:
        return f"Next: read {place / 'parity.md'} for the hop that loses the answers."
    model = place / "artifacts" / artifact
    return f"Next: edgeproof predict picture.png{place.option}\n      python -m edge_runtime classify picture.png --model {model}"
