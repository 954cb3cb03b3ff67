"""What several commands print: the result table and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeproof.console import Console
    from edgeproof.workspace import Workspace


def show_summary(
    place: Workspace, console: Console, *, verdict: str, seconds: float | None = None, failed: dict[str, str] | None = None, give: bool = True
) -> None:
    from benchmarks.reports.terminal import layer_tables, summary_table
    from edgeproof.stages.showing import summary

    rows, recommendation = summary(place, console)
    if give:
        fields = {"verdict": verdict, "seconds": seconds, "ship": recommendation.artifact, "why": recommendation.sentence, "failed": failed or {}}
        console.give({**fields, "rows": [vars(row) for row in rows], "workspace": str(place.path)})
    console.show("")
    console.show(summary_table(rows))
    for row in rows:
        if row.verdict != "PASS":
            console.show(f"{row.format} on {row.runtime}: {row.verdict}: {row.reason}")
    for table in layer_tables(place.read_json("parity.json")):
        console.show("")
        console.show(table)
    for name, reason in (failed or {}).items():
        console.show(f"{name} failed: {reason}")
    took = f" in {seconds:.0f} s" if seconds else ""
    console.show(f"\nParity: {verdict}{took}. {recommendation.sentence}")


def next_commands(place: Workspace, artifact: str | None) -> str:
    if artifact is None:
        return f"Next: read {place / 'parity.md'} for the hop that loses the answers."
    model = place / "artifacts" / artifact
    return f"Next: edgeproof predict picture.png{place.option}\n      python -m edge_runtime classify picture.png --model {model}"
