"""`parity.md`: the verdict as a comment on a pull request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.reports.layers import Diagnosis, diagnoses
from benchmarks.reports.summary import main_hops
from benchmarks.reports.wording import FIGURES, doubt, figures, labels, percent, points, reasons

_HEAD = ("artifact", "runtime", "kernels", *FIGURES, "verdict")
_LEFT = {"artifact", "runtime", "kernels", "verdict", "hop", "layer", ""}


def parity_markdown(parity: Mapping[str, Any]) -> str:
    """The fields of `parity.json` as Markdown: what gates first, the rest folded away."""
    baseline, rows = parity["baseline"], parity["rows"]
    diagnostic = [row for row in rows if not row["gates"]]
    blocks = [
        [f"## Parity: {parity['verdict']}"],
        [f"Baseline {percent(baseline['accuracy'])} on {baseline['images']:,} validation images; margin {parity['margin_pp']:g} pp."],
        _table(_HEAD, [_row(row) for row in rows if row["gates"]]),
        [f"**{doubted}**"] if (doubted := doubt(baseline)) else [],
        [f"- {_text(line)}" for line in reasons(parity)],
        *(_diagnosis(entry, rows[entry.row]) for entry in diagnoses(parity) if rows[entry.row]["gates"]),
        _table(("hop", "drop, pp (95 %)", "broken", "fixed", "logits", "verdict"), _hops(parity)),
    ]
    if diagnostic:
        title = f"{len(diagnostic)} diagnostic {'row' if len(diagnostic) == 1 else 'rows'}, which decide nothing"
        blocks.append(_folded(title, _table(_HEAD, [_row(row) for row in diagnostic])))
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _row(row: Mapping[str, Any]) -> Sequence[str]:
    target = "" if row["target"] == "local" else f" at {row['target']}"
    runtime = f"{row['runtime']} {row['runtime_version']}".rstrip() + target
    return row["artifact"], runtime, row["kernels"], *figures(row), row["verdict"]


def _hops(parity: Mapping[str, Any]) -> list[Sequence[str]]:
    names = labels(parity)
    lines: list[Sequence[str]] = []
    for hop in main_hops(parity):
        to = hop["to"] if hop["row"] is None else names[hop["row"]]
        bound = f"{points(hop['drop_pp'])} (≤ {points(hop['drop_upper_pp'])})"
        logits = f"× {hop['logit_scale']:.2f}" if hop.get("logit_scale") is not None else ""  # not in older files
        lines.append((f"{hop['from']} → {to}", bound, str(hop["broken"]), str(hop["fixed"]), logits, hop["verdict"]))
    return lines


def _diagnosis(entry: Diagnosis, row: Mapping[str, Any]) -> list[str]:
    """The layers of a failing row, the suspect marked; its sentence, where the row's reason does not already end with it."""
    told = [] if not entry.sentence or entry.sentence in row["reason"] else [f"{_text(entry.label)}: {_text(entry.sentence)}", ""]
    if not entry.layers:
        return told[:1]
    head = ("layer", "signal to noise", "fall", "saturated", "")
    table = _table(head, [(*layer.cells, "**← suspect**" if layer.suspect else "") for layer in entry.layers])
    return [*told, *_folded(f"Layers of {_text(entry.label)}", table)]


def _folded(title: str, table: list[str]) -> list[str]:
    return ["<details>", f"<summary>{title}</summary>", "", *table, "", "</details>"]  # GitHub wants the blank lines


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> list[str]:
    rule = ["---" if name in _LEFT else "--:" for name in head]
    return [f"| {' | '.join(head)} |", f"|{'|'.join(rule)}|", *(f"| {' | '.join(map(_text, cells))} |" for cells in lines)]


def _text(text: str) -> str:
    """File names and interpreters' messages may hold what Markdown would take for its own."""
    return " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")
