"""The tables for a terminal: results, verdicts, latencies, and the layers of what fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from benchmarks.reports.layers import diagnoses
from benchmarks.reports.summary import SummaryRow
from benchmarks.reports.wording import FIGURES, drop, figures, percent, subjects, verdict, where
from benchmarks.results import LatencyResult
from edge_runtime.bench import in_threads

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.table import Table

_COLOURS = {"PASS": "green", "FAIL": "red", "INCONCLUSIVE": "yellow", "UNSUPPORTED": "dim"}
COLUMNS = ("format", "size", "accuracy", "drop, pp (95 %)", "verdict", "runtime", "p50, µs", "p99, µs", "ratio to float32")
VERDICT_COLUMNS = ("format", "runtime", "kernels", *FIGURES, "verdict")
LAYER_COLUMNS = ("layer", "signal to noise", "fall", "saturated")
_LEFT_OUT_FIRST = ("images", "agreement", "accuracy", "fixed", "broken")


def summary_table(rows: Sequence[SummaryRow]) -> Table:
    """One line an artifact and runtime; colour only repeats what the word says."""
    from rich.table import Table
    from rich.text import Text

    table = Table(*COLUMNS, box=None, pad_edge=False, header_style="bold")
    for index in range(1, len(COLUMNS)):
        table.columns[index].justify = "left" if COLUMNS[index] in ("verdict", "runtime") else "right"
    for row in rows:
        cells = list(map(Text, summary_cells(row)))  # Text: a file's name is no markup
        cells[4] = Text(row.verdict, _COLOURS[row.verdict])
        table.add_row(*cells)
    return table


def summary_cells(row: SummaryRow) -> tuple[str, ...]:
    """The row as text, in the order of COLUMNS; also what the README's table holds."""
    return (
        row.subject,
        f"{row.bytes / 1000:.1f} KB",
        percent(row.accuracy),
        drop(vars(row)),
        row.verdict,
        where(vars(row)),
        "" if row.p50_us is None else f"{row.p50_us:.1f}",
        "" if row.p99_us is None else f"{row.p99_us:.1f}",
        "" if row.ratio is None else f"{row.ratio:.2f} ({row.ratio_low:.2f}–{row.ratio_high:.2f})",
    )


class VerdictTable:
    """One line a row of `parity.json`, grouped by artifact and runtime; what decides nothing is marked, and dimmed.

    In a narrow terminal, columns are left out rather than lines broken.
    """

    def __init__(self, parity: Mapping[str, Any]) -> None:
        self.parity = parity

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        free = options.update(width=1000)  # else a table's measure is what it would be squeezed to
        tables = (self._without(_LEFT_OUT_FIRST[:count]) for count in range(len(_LEFT_OUT_FIRST)))
        fitting = (table for table in tables if console.measure(table, options=free).maximum <= options.max_width)
        yield next(fitting, self._without(_LEFT_OUT_FIRST))

    def _without(self, left_out: Sequence[str]) -> Table:
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold")
        shown = [index for index, name in enumerate(VERDICT_COLUMNS) if name not in left_out]
        for index in shown:
            table.add_column(VERDICT_COLUMNS[index], justify="right" if VERDICT_COLUMNS[index] in FIGURES else "left", no_wrap=True)
        former, narrowest = ("", ""), left_out == _LEFT_OUT_FIRST
        for cells, row in zip(verdict_cells(self.parity), self.parity["rows"], strict=True):
            names = (cells[0] if former[0] != cells[0] else "", cells[1] if former != cells[:2] else "")
            coloured = Text(cells[-1], _COLOURS[row["verdict"]]) if row["gates"] else Text("diagnostic" if narrowest else cells[-1])
            line = (*map(Text, (*names, *cells[2:-1])), coloured)
            table.add_row(*(line[index] for index in shown), style="" if row["gates"] else "dim")
            former = cells[0], cells[1]
        return table


def verdict_cells(parity: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Every row as text, in the order of VERDICT_COLUMNS."""
    names = subjects(parity["rows"])
    places = [where({**row, "kernels": "default"}) for row in parity["rows"]]
    return [(names[row["artifact"]], place, row["kernels"], *figures(row), verdict(row)) for place, row in zip(places, parity["rows"], strict=True)]


def _microseconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} µs"


def latency_table(result: LatencyResult) -> Table:
    """One line a measured artifact and runtime."""
    from rich.table import Table
    from rich.text import Text

    counts = sorted({row.threads for row in result.rows})
    paced = any(row.rate_hz for row in result.rows)
    columns = ["invoke p50", "predict p50", "p90", "p99", "pipeline", "load", "first run", "peak memory", "runs", *(["kept up"] if paced else [])]
    table = Table("format", "runtime", "delegate", box=None, pad_edge=False, header_style="bold", title=Text(_title(result)), title_justify="left")
    for column in (["threads"] if len(counts) > 1 else []) + columns:
        table.add_column(column, justify="right")
    for row in result.rows:
        facts = row.fields
        table.add_row(
            Text(facts["format"]),
            f"{facts['runtime']} {facts['runtime_version']}",
            facts["delegate"].removesuffix("ExecutionProvider"),
            *([str(row.threads)] if len(counts) > 1 else []),
            _microseconds(row.percentile_us(50, "invoke")),
            *(_microseconds(row.percentile_us(percent)) for percent in (50, 90, 99)),
            _microseconds(row.percentile_us(50, "pipeline")),
            f"{facts['load_ms']:.1f} ms",
            f"{facts['first_ms']:.2f} ms",
            f"{facts['peak_memory_bytes'] / 1e6:.0f} MB",
            f"{len(row.samples['predict']):,}",
            *([f"{facts['achieved_hz']:.4g} Hz, {facts['missed']} late"] if row.rate_hz else []),
        )
    return table


def _title(result: LatencyResult) -> str:
    *fewer, most = sorted({row.threads for row in result.rows} or {result.fields["threads"]})
    counts = ", ".join([*map(str, fewer), in_threads(most)])
    rates = ", ".join(f"{rate:g}" for rate in sorted({row.rate_hz for row in result.rows if row.rate_hz}))
    return f"Latency on {result.target}, {counts}" + (f", paced at {rates} Hz" if rates else "")


def layer_tables(parity: Mapping[str, Any]) -> list[Table]:
    """Of every artifact that fails, the layers on one runtime: the others (in `parity.json`) tell the same. From the fields of `parity.json`."""
    from rich.table import Table
    from rich.text import Text

    shown: dict[str, Table] = {}
    for entry in diagnoses(parity):
        if entry.layers and (artifact := parity["rows"][entry.row]["artifact"]) not in shown:
            title = Text(f"Layers of {entry.label}")
            table = Table(*LAYER_COLUMNS, box=None, pad_edge=False, header_style="bold", title=title, title_justify="left")
            for column in table.columns[1:]:
                column.justify = "right"
            for layer in entry.layers:
                table.add_row(*map(Text, layer.cells), style="red" if layer.suspect else None)
            shown[artifact] = table
    return list(shown.values())
