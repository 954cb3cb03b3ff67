"""The table of predicted times for a terminal. The word stands in its title and over every column of times, and no measured time is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.counts import CountResult
from benchmarks.instructions import SCOPES
from benchmarks.predict import digits
from benchmarks.reports.instructions import millions

if TYPE_CHECKING:
    from rich.table import Table


def predicted_table(result: CountResult) -> Table:
    """One line an artifact and runtime that a time was predicted for."""
    from rich.table import Table
    from rich.text import Text

    source = result.scale or "docs/boards.md has the errors"
    title = Text(f"Predicted time per inference on {result.fields['board']}, 1 thread: not measured; {source}")
    columns = [f"{scope}: {what}" for scope in SCOPES for what in ("predicted ms", "interval")]
    table = Table("artifact", "runtime", "cycles", *columns, box=None, pad_edge=False, header_style="bold", title=title, title_justify="left")
    for column in table.columns[2:]:
        column.justify = "right"
    for row in result.rows:
        times = [row.predicted(scope) for scope in SCOPES]
        if times[0] is None:
            continue
        cells = [cell for time in times if time for cell in (digits(time.milliseconds), time.interval)]
        table.add_row(Text(row.fields["artifact"]), f"{row.fields['runtime']} {row.fields['runtime_version']}", millions(times[0].cycles), *cells)
    return table
