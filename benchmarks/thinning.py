"""A latency result small enough to be committed: fewer samples, and it says so.

Of every block one sample in N is kept, evenly, so that rounds stay paired and medians where they were. Each row says its N in `kept_every`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.results import BLOCKS, LatencyResult, LatencyRow, pack


def thin(result: LatencyResult, most_samples: int) -> dict[str, Any]:
    """The fields of a latency result with at most about `most_samples` samples a row and scope: never none of a block."""
    lists = {name: [_thin_row(row, most_samples) for row in result.fields[name]] for name in ("rows", "reference_rows")}
    return {**result.fields, **lists}


def _thin_row(fields: Mapping[str, Any], most_samples: int) -> Mapping[str, Any]:
    if fields["reason"]:
        return fields
    row = LatencyRow(fields)
    every = {scope: max(1, -(-len(samples) // most_samples)) for scope, samples in row.samples.items()}
    former = fields.get("kept_every", {})
    thinned = {**fields, "kept_every": {scope: number * former.get(scope, 1) for scope, number in every.items()}}
    for scope, blocks in BLOCKS.items():
        if every[scope] > 1:
            kept = [block[min(every[scope], len(block)) // 2 :: every[scope]] for block in row.blocks(scope)]  # the first of a block is no usual one
            thinned |= {blocks: [len(block) for block in kept], f"{scope}_ns": pack(kept)}
    return thinned
