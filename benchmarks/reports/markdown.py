"""`parity.md`: the verdict as a comment on a pull request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def parity_markdown(parity: Mapping[str, Any]) -> str:
    """The fields of `parity.json` as Markdown."""
    baseline = parity["baseline"]
    lines = [
        f"## Parity: {parity['verdict']}",
        "",
        f"Baseline {baseline['accuracy']:.2%} on {baseline['images']:,} validation images; margin {parity['margin_pp']:g} pp.",
        "",
        "| artifact | runtime | target | accuracy | drop | at most (95 %) | broken | fixed | verdict |",
        "|---|---|---|--:|--:|--:|--:|--:|---|",
    ]
    lines += [_row(row) for row in parity["rows"]]
    lines += ["", "| hop | drop | at most (95 %) | broken | fixed | verdict |", "|---|--:|--:|--:|--:|---|"]
    lines += [_hop(hop, parity) for hop in parity["hops"]]
    notes = [f"- {row['artifact']} on {row['runtime']}: {row['reason']}" for row in parity["rows"] if row["verdict"] != "PASS"]
    return "\n".join([*lines, *([""] if notes else []), *notes]) + "\n"


def _row(row: Mapping[str, Any]) -> str:
    name = f"| {row['artifact']} | {row['runtime']} {row['runtime_version']} | {row['target']} "
    if row["accuracy"] is None:
        return f"{name}| | | | | | {row['verdict']} |"
    figures = f"{row['accuracy']:.2%} | {row['drop_pp']:.2f} pp | {row['drop_upper_pp']:.2f} pp | {row['broken']} | {row['fixed']}"
    return f"{name}| {figures} | {row['verdict']} |"


def _hop(hop: Mapping[str, Any], parity: Mapping[str, Any]) -> str:
    to = hop["to"] if hop["row"] is None else f"{hop['to']} on {parity['rows'][hop['row']]['runtime']}"
    return f"| {hop['from']} → {to} | {hop['drop_pp']:.2f} pp | {hop['drop_upper_pp']:.2f} pp | {hop['broken']} | {hop['fixed']} | {hop['verdict']} |"
