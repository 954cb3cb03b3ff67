"""The table "what you would have got without edgeproof"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from benchmarks.peers import PeerRow, in_words
from benchmarks.reports.wording import drop, percent

if TYPE_CHECKING:
    from rich.table import Table

PEER_COLUMNS = ("made by hand with", "runtime", "size", "accuracy", "drop, pp (95 %)", "int8 MACs", "p50, µs", "ours / it", "in words")
_RIGHT = ("size", "accuracy", "drop, pp (95 %)", "int8 MACs", "p50, µs", "ours / it")


def peers_table(rows: Sequence[PeerRow]) -> Table:
    """One line a peer and runtime."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", title=Text("What you would have got without edgeproof"), title_justify="left")
    for name in PEER_COLUMNS:
        table.add_column(name, justify="right" if name in _RIGHT else "left")
    for row in rows:
        table.add_row(*map(Text, peer_cells(vars(row))))
    return table


def peer_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """A row of `peers.json` as text, in the order of PEER_COLUMNS."""
    ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f} ({row['ratio_low']:.2f}–{row['ratio_high']:.2f})"
    return (
        row["title"],
        row["runtime"],
        "" if row["bytes"] is None else f"{row['bytes'] / 1000:.1f} KB",
        percent(row["accuracy"]),
        drop(row),
        "" if row["int8_macs_percent"] is None else f"{row['int8_macs_percent']:.0f} %",
        "" if row["p50_us"] is None else f"{row['p50_us']:.1f}",
        ratio,
        in_words(row),
    )
