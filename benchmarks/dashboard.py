"""The dashboard: one HTML file that shows what was proved and measured. Works from `file://`, asks no network."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks.charts import scatter, vega_bundle
from benchmarks.differences import agreement, class_changes
from benchmarks.gallery import cards, flips_of
from benchmarks.outputs import Outputs
from benchmarks.reports.layers import diagnoses
from benchmarks.reports.summary import main_hops, other_rows, others_sentence, recommend, summarize
from benchmarks.reports.terminal import COLUMNS, VERDICT_COLUMNS, summary_cells, verdict_cells
from benchmarks.reports.wording import labels, reasons
from benchmarks.results import LatencyResult

_ORDER = tuple(COLUMNS.index(name) for name in ("format", "runtime", "verdict"))  # a phone shows these first
_ORDER += tuple(index for index in range(len(COLUMNS)) if index not in _ORDER)


@dataclass(frozen=True)
class Validation:
    """What everything was judged on: images uint8 [n, H, W, C], labels int64 [n], the baseline's probabilities [n, classes]."""

    images: np.ndarray
    labels: np.ndarray
    baseline: np.ndarray


def render(
    *,
    parity: Mapping[str, Any],
    manifest: Mapping[str, Any],
    dataset: Mapping[str, Any],
    training: Mapping[str, Any],
    latency: Sequence[LatencyResult],
    validation: Validation,
    outputs: Callable[[int], Outputs],
) -> str:
    """The page, from the workspace's JSON files, the validation part, and what gives the outputs of a parity row by its number."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(loader=PackageLoader("benchmarks"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    rows, flips = summarize(parity, manifest, latency), flips_of(parity)
    recommendation = recommend(rows, manifest, parity["margin_pp"])
    charted = [asdict(row) for row in rows if row.accuracy is not None and row.p50_us is not None]
    names = _class_names(dataset, validation)
    changes = class_changes(parity, validation.labels, len(names))
    others = other_rows(parity)
    return environment.get_template("dashboard.html.j2").render(
        parity=parity,
        name=manifest.get("name", "exports"),
        failed=manifest.get("failed") or {},
        latency=latency[0].fields if latency else None,
        recommendation=recommendation,
        columns=[COLUMNS[index] for index in _ORDER],
        rows=[(row, [summary_cells(row)[index] for index in _ORDER]) for row in rows],
        reasons=reasons(parity),
        others=others_sentence(parity),
        verdict_columns=VERDICT_COLUMNS,
        other_cells=[(row, cells) for row, cells in zip(parity["rows"], verdict_cells(parity), strict=True) if row in others],
        chart=_embedded(scatter(charted, parity["baseline"]["accuracy"])) if charted else None,
        vega=vega_bundle() if charted else "",
        diagnoses=diagnoses(parity),
        hops=[(hop, hop["to"] if hop["row"] is None else labels(parity)[hop["row"]]) for hop in main_hops(parity)],
        changes=changes,
        classes=len(names),
        chosen=_worth_a_look(parity, recommendation.artifact),
        data=_embedded(json.dumps({"classes": names, "rows": changes})),
        forms=agreement(parity),
        cards=cards(flips, names, validation.images, validation.baseline, outputs),
        flip_count=len(flips),
        lineage=_lineage(manifest, dataset, training),
        versions=manifest.get("versions") or {},
    )


def _class_names(dataset: Mapping[str, Any], validation: Validation) -> list[str]:
    count = validation.baseline.shape[1]
    return list(dataset.get("class_names") or map(str, range(count)))


def _worth_a_look(parity: Mapping[str, Any], ship: str | None) -> int | None:
    """The row whose changes are shown first: the first that fails, else that of the file to ship."""
    judged = [(index, row) for index, row in enumerate(parity["rows"]) if row["accuracy"] is not None]
    failing = [index for index, row in judged if row["gates"] and row["verdict"] == "FAIL"]
    shipped = [index for index, row in judged if row["artifact"] == ship]
    return next(iter([*failing, *shipped, *(index for index, _ in judged)]), None)


def _embedded(text: str) -> str:
    """JSON that cannot end the script element it stands in."""
    return text.replace("<", "\\u003c")


def _lineage(manifest: Mapping[str, Any], dataset: Mapping[str, Any], training: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(what, facts, sha256) from the data to each file; what an adopted workspace does not know is left out."""
    inputs, seed = manifest.get("inputs") or {}, training.get("seed")
    count, classes = dataset.get("images"), len(dataset.get("class_names") or ())
    calibration = (manifest.get("calibration") or {}).get("images")
    parameters = training.get("parameters")
    data = [f"{count:,} images" if isinstance(count, int) else "", f"{classes} classes" if classes else ""]
    facts = [f"{parameters:,} parameters" if parameters else "", f"seed {seed}" if seed is not None else ""]
    steps = [
        ("data", [dataset.get("source", ""), *data], dataset.get("sha256")),
        ("baseline", [training.get("name", ""), *facts], training.get("baseline_sha256")),
        ("folded", ["no BatchNorm left"], inputs.get("folded_sha256")),
        ("QAT model", ["quantization-aware fine-tuned"], inputs.get("qat_sha256")),
        ("calibration", [f"{calibration:,} training images" if calibration else ""], (manifest.get("calibration") or {}).get("sha256")),
    ]
    lines = [(name, ", ".join(filter(None, facts)), sha256 or "") for name, facts, sha256 in steps if sha256 or name in ("data", "baseline")]
    return lines + [(facts["format"], f"{name}, {facts['bytes']:,} bytes", facts["sha256"]) for name, facts in manifest["artifacts"].items()]
