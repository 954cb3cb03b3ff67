"""The table of what a board was timed at beside what was predicted for it. Each has a column of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.calibration import Calibration
from benchmarks.predict import digits

if TYPE_CHECKING:
    from rich.table import Table

COLUMNS = ("artifact", "runtime", "scope", "measured ms", "predicted ms", "predicted: interval", "ratio", "error, by the others")


def calibration_table(calibration: Calibration) -> Table:
    """One line an artifact, runtime and scope; predictions with the published scale, which the measured one replaces."""
    from rich.table import Table
    from rich.text import Text

    title = Text(f"Measured on {calibration.fields['host']} ({calibration.fields['model']}), predicted with the published scale, 1 thread")
    table = Table(*COLUMNS, box=None, pad_edge=False, header_style="bold", title=title, title_justify="left")
    for column in table.columns[3:]:
        column.justify = "right"
    for one in calibration.fields["timings"]:
        measured, predicted = one["measured_ms"], one["predicted_ms"]
        interval = f"{digits(one['predicted_low_ms'])} to {digits(one['predicted_high_ms'])}"
        runtime, ratio = f"{one['runtime']} {one['runtime_version']}", f"{measured / predicted:.3f}"
        table.add_row(
            Text(one["artifact"]), runtime, one["scope"], digits(measured), digits(predicted), interval, ratio, f"{one['leave_one_out']:+.1%}"
        )
    return table
