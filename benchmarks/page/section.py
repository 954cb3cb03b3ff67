"""Everything the page shows of one workspace: what the template writes out, and what the page's script draws when it is looked at."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from benchmarks import confidence
from benchmarks.differences import agreement, class_changes
from benchmarks.gallery import cards, flips_of
from benchmarks.page.advice import Advice, advice_table, advise
from benchmarks.page.boards import boards_table
from benchmarks.page.cells import Table
from benchmarks.page.distributions import distributions_table, histograms
from benchmarks.page.history import packed
from benchmarks.page.layers import layer_tables
from benchmarks.page.lineage import lineage
from benchmarks.page.peers import peers_table
from benchmarks.page.points import points
from benchmarks.page.results import results_table
from benchmarks.page.subject import Subject, day, sessions, target_title
from benchmarks.reports.layers import diagnoses
from benchmarks.reports.summary import main_hops, other_rows, others_sentence, recommend, summarize
from benchmarks.reports.terminal import VERDICT_COLUMNS, verdict_cells
from benchmarks.reports.wording import doubt, labels, reasons, subjects
from benchmarks.results import LatencyResult
from benchmarks.steadiness import too_short


def section(subject: Subject, cards_each: int) -> dict[str, Any]:
    """The variables of the template `workspace.html.j2`. `cards_each`: changed pictures shown of each artifact, at most."""
    parity = subject.parity
    rows = summarize(parity, subject.manifest, subject.latency)
    recommendation = recommend(rows, subject.manifest, parity["margin_pp"])
    advices = advise(subject, rows)
    results, boards = results_table(subject, rows, recommendation.artifact), boards_table(subject)
    names, others = subject.class_names, other_rows(parity)
    changes = class_changes(parity, subject.validation.labels, len(names))
    baseline = subject.training.get("baseline_sha256")
    return {
        "name": subject.name,
        "option": subject.option,
        "parity": parity,
        "rows": rows,
        "ship": ship_facts(subject, recommendation.artifact),
        "why": recommendation.sentence.rsplit(". ", 1)[-1],
        "advices": advices,
        "advice": advice_table(subject, advices, rows) if advices else None,
        "peers": peers_table(subject.peers, baseline) if subject.peers else None,
        "sessions": [_session(result) for result in sessions(subject)],
        "results": results,
        "boards": boards if boards.lines else None,
        "distributions": distributions_table(subject),
        "filters": {name: list(dict.fromkeys(filter(None, found))) for name, found in _filterable([*results.lines, *boards.lines]).items()},
        "doubt": doubt(parity["baseline"]),
        "reasons": reasons(parity),
        "failed": subject.manifest.get("failed") or {},
        "others": others_sentence(parity),
        "verdict_columns": VERDICT_COLUMNS,
        "other_cells": [(row, cells) for row, cells in zip(parity["rows"], verdict_cells(parity), strict=True) if row in others],
        "diagnoses": diagnoses(parity),
        "logit_factor": confidence.FACTOR,
        "hops": [(hop, hop["to"] if hop["row"] is None else labels(parity)[hop["row"]]) for hop in main_hops(parity)],
        "changes": changes,
        "classes": len(names),
        "chosen": _worth_a_look(parity, recommendation.artifact),
        "lineage": lineage(subject.manifest, subject.dataset, subject.training),
        "versions": subject.manifest.get("versions") or {},
        **_drawn(subject, changes, cards_each),
    }


def _drawn(subject: Subject, changes: list[dict[str, Any]], cards_each: int) -> dict[str, Any]:
    """What the script draws, as JSON in `data`, and what the template must know of it."""
    flips = flips_of(subject.parity)
    names, validation = subject.class_names, subject.validation
    shown, pictures = cards(flips, names, validation.images, validation.baseline, subject.outputs, cards_each)
    layers, forms = layer_tables(subject), agreement(subject.parity)
    found = {"points": points(subject), "histograms": histograms(subject), "history": packed(subject.history)}
    data = {
        "formats": list(subjects(subject.parity["rows"]).values()),
        "classes": names,
        "rows": changes,
        "forms": [asdict(form) for form in forms],
        "layers": [_unfolded(table) for table in layers],
        "cards": shown,
        "pictures": pictures,
        **found,
    }
    facts = {f"has_{name}": bool(value) for name, value in found.items()}
    return {
        **facts,
        "layers": layers,
        "forms": forms,
        "cards": shown,
        "flip_count": len(flips),
        "data": compressed(json.dumps(data, separators=(",", ":"))),
    }


def _unfolded(table: Table) -> dict[str, Any]:
    """A table that the page's script makes when it is unfolded: {label, columns: [[name, what its numbers are]], rows: [[[text, tip]]]}."""
    columns = [[column.name, column.about] for column in table.columns]
    return {"label": table.label, "columns": columns, "rows": [[[cell.text, cell.tip] for cell in line.cells] for line in table.lines]}


def compressed(text: str) -> str:
    """What the page's script unpacks: base64 of zlib. It cannot end the script element it stands in."""
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def ship_facts(subject: Subject, artifact: str | None) -> dict[str, Any] | None:
    """What stands beside the name of the file to ship."""
    if artifact is None:
        return None
    facts = subject.manifest["artifacts"][artifact]
    ran = [row for row in subject.parity["rows"] if row["artifact"] == artifact and row["gates"]]
    worst = max(ran, key=lambda row: row["drop_upper_pp"])
    floats = [other["bytes"] for other in subject.manifest["artifacts"].values() if other["format"] == f"{facts['format'].split('-')[0]}-float32"]
    smaller = 1 - facts["bytes"] / floats[0] if floats else 0.0
    audit = facts.get("audit") or {}
    return {
        "artifact": artifact,
        "bytes": facts["bytes"],
        "smaller": smaller,
        "int8": audit.get("int8_macs_share"),
        "macs": audit.get("macs"),
        "rows": len(ran),
        "worst": worst,
        "runtimes": list(dict.fromkeys(row["runtime"] for row in ran)),
        "targets": [target_title(target) for target in dict.fromkeys(row["target"] for row in ran)],
        "sha256": facts["sha256"],
    }


def _session(result: LatencyResult) -> dict[str, Any]:
    """Where and when a session was, whether its times may be believed, and why not."""
    host = result.fields.get("host") or {}
    verdict, _, reason = result.validity.partition(": ")
    return {
        "target": result.target,
        "title": target_title(result.target),
        "cpu": host.get("cpu") or "",
        "governor": host.get("governor") or "",
        "day": day(result.fields["utc"]),
        "verdict": verdict,
        "reason": reason,
        "aa": {**result.aa, "too_short": too_short(result.aa)} if result.aa else None,
    }


def _filterable(lines: list[Any]) -> dict[str, list[str]]:
    return {name: [getattr(line, name) for line in lines] for name in ("target", "format", "runtime")}


def _worth_a_look(parity: Mapping[str, Any], ship: str | None) -> int | None:
    """The row whose changes are shown first: the first that fails, else that of the file to ship."""
    judged = [(index, row) for index, row in enumerate(parity["rows"]) if row["accuracy"] is not None]
    failing = [index for index, row in judged if row["gates"] and row["verdict"] == "FAIL"]
    shipped = [index for index, row in judged if row["artifact"] == ship]
    return next(iter([*failing, *shipped, *(index for index, _ in judged)]), None)


def best_here(advices: list[Advice]) -> Advice | None:
    """What was chosen by times measured on this machine."""
    return next((advice for advice in advices if advice.chosen and advice.chosen.measured), None)
