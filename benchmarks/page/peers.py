"""What one would have got without edgeproof: the files that other tools make of the same baseline (peers/peers.json), beside ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.page import words
from benchmarks.page.cells import Cell, Column, Line, Table, missing
from benchmarks.page.results import accuracy_cell, drop_cell, microseconds, size_cell
from benchmarks.parity import UNSUPPORTED
from benchmarks.statistics import mcnemar_p

COLUMNS = (
    Column("instead of edgeproof", number=False),
    words.RUNTIME,
    words.VERDICT,
    words.ACCURACY,
    words.DROP,
    Column("MACs in int8", "Share of the multiply-accumulates that compute in int8, read from the file."),
    words.SIZE,
    words.MEASURED,
    Column(
        "ours takes",
        "Measured time of our file by the peer's, same session and runtime, median of paired rounds; in brackets the bootstrap interval. "
        "Below 1: ours is faster.",
    ),
)


def peers_table(peers: Mapping[str, Any], sha256: str | None) -> Table | None:
    """None where the peers were made from another baseline than the present one."""
    if sha256 and peers.get("baseline_sha256") not in (None, sha256):
        return None
    return Table("Peers", COLUMNS, [_line(row, peers["images"]) for row in peers["rows"]])


def _line(row: Mapping[str, Any], images: int) -> Line:
    name, runtime = Cell(row["title"], f"{row['how'].rstrip('.')}."), row["runtime"] or ""
    if row["accuracy"] is None:
        verdict = Cell(row["verdict"] or "not made", row["reason"] or "", verdict=row["verdict"] or UNSUPPORTED)
        return Line((name, Cell(runtime or "–"), verdict, *[missing(row["reason"] or "not judged")] * 6), runtime=runtime)
    judged = {**row, "images": images, "mcnemar_p": mcnemar_p(row["broken"], row["fixed"])}
    share, ratio = row["int8_macs_percent"], missing("not measured in one session")
    if row["ratio"] is not None:
        ratio = Cell(
            f"{row['ratio']:.2f}× ({row['ratio_low']:.2f}–{row['ratio_high']:.2f})",
            f"Ours: {row['ours']} on {row.get('ours_runtime') or runtime}.",
            row["ratio"],
        )
    cells = (
        name,
        Cell(runtime),
        Cell(row["verdict"], row["reason"] or "", verdict=row["verdict"]),
        accuracy_cell(judged),
        drop_cell(judged),
        missing("not read") if share is None else Cell(f"{share:.0f} %", key=share),
        size_cell(row["bytes"]),
        missing() if row["p50_us"] is None else Cell(microseconds(row["p50_us"]), "This machine, 1 thread.", row["p50_us"]),
        ratio,
    )
    return Line(cells, runtime=runtime)
