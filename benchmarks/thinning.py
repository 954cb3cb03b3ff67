"""A latency result small enough to be committed: fewer samples, and it says so.

Of every block one sample in N is kept, evenly, so that rounds stay paired and medians where they were. Each row says its N in `kept_every`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.results import BLOCKS, LatencyRow, pack


def thin(fields: Mapping[str, Any], most_samples: int) -> dict[str, Any]:
    """The fields of a latency result with at most about `most_samples` samples a row and scope: never none of a block."""
    lists = ("rows", "reference_rows")
    return {**fields, **{name: [row if row["reason"] else _thin_row(LatencyRow(row), most_samples) for row in fields[name]] for name in lists}}


def _thin_row(row: LatencyRow, most_samples: int) -> dict[str, Any]:
    every = {scope: max(1, -(-len(samples) // most_samples)) for scope, samples in row.samples.items()}
    thinned = {**row.fields, "kept_every": every}
    for scope, blocks in BLOCKS.items():
        if every[scope] > 1:
            kept = [block[:: every[scope]] for block in row.blocks(scope)]
            thinned |= {blocks: [len(block) for block in kept], f"{scope}_ns": pack(kept)}
    return thinned
