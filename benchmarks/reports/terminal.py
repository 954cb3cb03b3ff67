"""The tables for a terminal: results, latency, and the layers of what fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from benchmarks.reports.summary import SummaryRow
from benchmarks.results import LatencyResult

if TYPE_CHECKING:
    from rich.table import Table

_COLOURS = {"PASS": "green", "FAIL": "red", "INCONCLUSIVE": "yellow", "UNSUPPORTED": "dim"}
COLUMNS = ("format", "size", "accuracy", "drop, pp (95 %)", "verdict", "runtime", "p50, µs", "p99, µs", "ratio to float32")


def summary_table(rows: Sequence[SummaryRow]) -> Table:
    """One line an artifact and runtime; colour only repeats what the word says."""
    from rich.table import Table

    table = Table(*COLUMNS, box=None, pad_edge=False, header_style="bold")
    for index in range(1, len(COLUMNS)):
        table.columns[index].justify = "left" if COLUMNS[index] in ("verdict", "runtime") else "right"
    for row in rows:
        cells = list(summary_cells(row))
        cells[4] = f"[{_COLOURS[row.verdict]}]{row.verdict}[/]"
        table.add_row(*cells)
    return table


def summary_cells(row: SummaryRow) -> tuple[str, ...]:
    """The row as text, in the order of COLUMNS; also what the README's table holds."""
    return (
        row.format,
        f"{row.bytes / 1000:.1f} KB",
        "" if row.accuracy is None else f"{row.accuracy:.2%}".replace("%", " %"),
        "" if row.drop_pp is None else f"{row.drop_pp + 0.0:.2f} (≤ {row.drop_upper_pp:.2f})",
        row.verdict,
        row.runtime,
        "" if row.p50_us is None else f"{row.p50_us:.1f}",
        "" if row.p99_us is None else f"{row.p99_us:.1f}",
        "" if row.ratio is None else f"{row.ratio:.2f} ({row.ratio_low:.2f}–{row.ratio_high:.2f})",
    )


def _microseconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} µs"


def latency_table(result: LatencyResult) -> Table:
    """One line a measured artifact and runtime."""
    from rich.table import Table

    threads = result.fields["threads"]
    table = Table(
        "format", "runtime", "delegate", "invoke p50", "predict p50", "p90", "p99", "load", "first run", "peak memory", "runs",
        box=None, pad_edge=False, header_style="bold", title=f"Latency on {result.target}, {threads} thread(s)", title_justify="left",
    )  # fmt: skip
    for index in range(3, 11):
        table.columns[index].justify = "right"
    for row in result.rows:
        facts = row.fields
        table.add_row(
            facts["format"],
            f"{facts['runtime']} {facts['runtime_version']}",
            facts["delegate"],
            _microseconds(row.percentile_us(50, "invoke")),
            *(_microseconds(row.percentile_us(percent)) for percent in (50, 90, 99)),
            f"{facts['load_ms']:.1f} ms",
            f"{facts['first_ms']:.2f} ms",
            f"{facts['peak_memory_bytes'] / 1e6:.0f} MB",
            f"{len(row.samples['predict']):,}",
        )
    return table


def layer_tables(parity: Mapping[str, Any]) -> list[Table]:
    """Of every artifact that fails, the layers on one runtime: the others (in `parity.json`) tell the same. From the fields of `parity.json`."""
    from rich.table import Table

    tables: dict[str, Table] = {}
    suspects = {suspect["row"]: suspect["layer"] for suspect in parity["suspects"]}
    shown = {parity["rows"][index]["artifact"]: index for index in sorted({line["row"] for line in parity["layers"]}, reverse=True)}
    for artifact, index in reversed(shown.items()):
        row = parity["rows"][index]
        title = f"Layers of {artifact} on {row['runtime']}, against the Keras model's (signal-to-quantization-noise ratio)"
        table = Table("layer", "ratio", "fall", "saturated", box=None, pad_edge=False, header_style="bold", title=title, title_justify="left")
        for column in table.columns[1:]:
            column.justify = "right"
        for line in (line for line in parity["layers"] if line["row"] == index):
            saturated = "" if line["saturated"] is None else f"{line['saturated']:.1%}".replace("%", " %")
            style = "red" if line["layer"] == suspects.get(index) else None
            table.add_row(line["layer"], f"{line['snr_db']:.1f} dB", f"{line['fall_db'] + 0.0:.1f} dB", saturated, style=style)
        tables[artifact] = table
    return list(tables.values())
