"""Why a row fails: the hop of the chain that loses the answers and, where that is the export itself, the layer. All functions are pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from benchmarks.layers import INPUT, LayerRow, snr_before, suspect
from benchmarks.outputs import Outputs
from benchmarks.parity import FAIL, INCONCLUSIVE, PASS, Hop, Report, drop_verdict

_CLEAR_DB = 10.0  # a fall by less, ten times the noise, singles no layer out


@dataclass(frozen=True)
class Culprit:
    """The hop that one row's answers are lost in; `own` when it is the export's."""

    from_: str
    to: str
    own: bool
    changed: bool = False  # not answers, but the probabilities that they are given with


def culprits(report: Report, outputs: Sequence[Outputs]) -> dict[int, Culprit]:
    """For each row that fails, or gates and is not decided: its hop. Rows whose way from the baseline nobody knows are left out.

    outputs: those that were judged, one a row. Where answers are lost, it is the first hop that loses enough by itself, else the one that
    drops most, none if none drops; where none are, the hop that changes the logits' scale most.
    """
    found = {}
    for index, (row, answers) in enumerate(zip(report.rows, outputs, strict=True)):
        if row.verdict == FAIL or (row.verdict == INCONCLUSIVE and row.gates):
            culprit = _culprit(report, index, answers)
            if culprit:
                found[index] = culprit
    return found


def _culprit(report: Report, index: int, answers: Outputs) -> Culprit | None:
    stages = [hop for hop in report.hops if hop.row is None]
    names = [hop.to for hop in stages]
    if answers.source not in ("baseline", *names):
        return None
    own = [hop for hop in report.hops if hop.row == index]
    before = [] if answers.source == "baseline" else stages[: names.index(answers.source) + 1]
    chain = before + own
    if not own:  # no numbers, or not as many as there are classes
        return Culprit(answers.source, answers.artifact, True)
    if drop_verdict(report.rows[index], report.margin_pp) == PASS:
        worst = max(chain, key=_change)
        return Culprit(worst.from_, worst.to, worst.row is not None, changed=True)
    losing = [hop for hop in chain if drop_verdict(hop, report.margin_pp) == FAIL]
    worst = losing[0] if losing else max(chain, key=lambda hop: hop.drop_pp)
    return Culprit(worst.from_, worst.to, worst.row is not None) if worst.drop_pp > 0 else None


def _change(hop: Hop) -> float:
    """How far a hop's logits are from those before, either way."""
    scale = 1.0 if hop.logit_scale is None else hop.logit_scale
    return abs(math.log(scale)) if scale > 0 else math.inf


def explain(report: Report, found: Mapping[int, Culprit], tables: Mapping[int, Sequence[LayerRow]]) -> Report:
    """The report with `layers`, `suspects`, and each reason ending in what is suspected.

    found: from `culprits`. tables: of rows whose own hop it is, by row; those without one name the hop alone.
    """
    rows, suspects = list(report.rows), []
    for index, culprit in found.items():
        suspects.append(_suspect(index, report.rows[index].format, culprit, tables.get(index, ())))
        rows[index] = replace(rows[index], reason=f"{rows[index].reason}; {suspects[-1]['sentence']}")
    layers = tuple({"row": index, **asdict(line)} for index, table in tables.items() for line in table)
    return replace(report, rows=tuple(rows), layers=layers, suspects=tuple(suspects))


def _suspect(index: int, format: str, culprit: Culprit, table: Sequence[LayerRow]) -> dict[str, Any]:
    fields: dict[str, Any] = {"row": index, "hop": {"from": culprit.from_, "to": culprit.to}, "layer": None, "snr_before_db": None, "snr_db": None}
    happened = "changed" if culprit.changed else "lost"
    if not culprit.own:
        return {**fields, "sentence": f"{happened} between {culprit.from_} and {culprit.to}, before the export"}
    between = f"{happened} between {culprit.from_} and {format}"
    worst = suspect(table)
    if worst is None:
        return {**fields, "sentence": between}
    if worst.fall_db < _CLEAR_DB:
        return {**fields, "sentence": f"{between}, in no layer more than in the others"}
    before = snr_before(table, worst.layer)
    fields |= {"layer": worst.layer, "snr_before_db": before, "snr_db": worst.snr_db}
    if worst.layer == INPUT:
        return {**fields, "sentence": f"{between}, where the input is at {worst.snr_db:.0f} dB already: it is not scaled as in training"}
    return {**fields, "sentence": f"{between}, where {worst.layer} falls from {before:.0f} to {worst.snr_db:.0f} dB"}
