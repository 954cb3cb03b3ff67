"""The tables of instruction counts for a terminal. They have no column in common with times."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.counts import CountResult

if TYPE_CHECKING:
    from rich.table import Table


def millions(instructions: float) -> str:
    return f"{instructions / 1e6:.3f} M"


def counts_table(result: CountResult) -> Table:
    """One line a counted artifact and runtime."""
    from rich.table import Table
    from rich.text import Text

    title = Text(f"Instructions per inference on {result.target} ({result.fields['core']}), 1 thread")
    table = Table(
        "artifact", "runtime", "delegate", "invoke", "predict", box=None, pad_edge=False, header_style="bold", title=title, title_justify="left"
    )
    for column in table.columns[3:]:
        column.justify = "right"
    for row in result.rows:
        facts = row.fields
        places = Text(facts["artifact"]), f"{facts['runtime']} {facts['runtime_version']}", facts["delegate"]
        table.add_row(*places, millions(row.per_inference("invoke")), millions(row.per_inference("predict")))
    return table
