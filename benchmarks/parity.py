"""Does every export answer like the baseline? The verdict, from saved outputs alone.

Non-inferiority on paired images, with a margin declared beforehand: with L and U the one-sided 95 % bounds of the drop (Tango, 1998),
PASS if U <= margin, FAIL if L > margin, else INCONCLUSIVE. All functions here are pure; `benchmarks.matrix` collects the outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks import statistics
from benchmarks.outputs import Outputs
from benchmarks.reports.wording import points

SCHEMA = 1
DEFAULT_MARGIN_PP = 0.25
PASS, FAIL, INCONCLUSIVE, UNSUPPORTED = "PASS", "FAIL", "INCONCLUSIVE", "UNSUPPORTED"


@dataclass(frozen=True)
class Reference:
    """What every export is compared with: labels int64 [n] and the probabilities [n, classes] of the Keras models that led to it."""

    labels: np.ndarray
    baseline: np.ndarray
    stages: dict[str, np.ndarray]  # "folded" and "qat", those that exist

    def first(self, images: int) -> Reference:
        """The same on the first images only."""
        return Reference(self.labels[:images], self.baseline[:images], {name: values[:images] for name, values in self.stages.items()})


@dataclass(frozen=True)
class Row:
    """The verdict on one artifact, runtime and target. Counts are images, `_pp` percentage points; None where it could not run."""

    artifact: str
    format: str
    sha256: str
    runtime: str
    runtime_version: str
    kernels: str
    target: str
    images: int
    accuracy: float | None
    drop_pp: float | None
    drop_lower_pp: float | None
    drop_upper_pp: float | None
    broken: int | None
    fixed: int | None
    agreement: float | None
    agreement_low: float | None
    mcnemar_p: float | None
    max_abs_probability_error: float | None
    mean_abs_probability_error: float | None
    ties: int | None
    gates: bool
    verdict: str
    reason: str


@dataclass(frozen=True)
class Hop:
    """One step of the chain baseline -> folded -> qat -> export, judged by itself. `row` is the export's row, else None."""

    from_: str
    to: str
    row: int | None
    images: int
    broken: int
    fixed: int
    drop_pp: float
    drop_upper_pp: float
    verdict: str

    def to_dict(self) -> dict[str, Any]:
        fields = asdict(self)
        return {"from": fields.pop("from_"), **fields}


@dataclass(frozen=True)
class Report:
    """Everything in `parity.json`."""

    verdict: str
    margin_pp: float
    baseline: dict[str, Any]
    rows: tuple[Row, ...]
    hops: tuple[Hop, ...]
    agreement_matrix: dict[str, Any]
    per_class: tuple[dict[str, Any], ...]
    flips: tuple[dict[str, Any], ...]
    layers: tuple[dict[str, Any], ...] = ()  # of exports that fail, and
    suspects: tuple[dict[str, Any], ...] = ()  # why: `benchmarks.suspects` adds them

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "verdict": self.verdict,
            "margin_pp": self.margin_pp,
            "baseline": self.baseline,
            "rows": [asdict(row) for row in self.rows],
            "hops": [hop.to_dict() for hop in self.hops],
            "agreement_matrix": self.agreement_matrix,
            "per_class": list(self.per_class),
            "flips": list(self.flips),
            "layers": list(self.layers),
            "suspects": list(self.suspects),
        }


def judge(reference: Reference, outputs: Sequence[Outputs], *, margin_pp: float, baseline_sha256: str) -> Report:
    """Judge every artifact's outputs against the baseline on the same images."""
    rows = tuple(_row(reference, answers, margin_pp) for answers in outputs)
    ran = [(index, answers) for index, answers in enumerate(outputs) if rows[index].accuracy is not None]
    return Report(
        verdict=overall_verdict(rows),
        margin_pp=margin_pp,
        baseline={
            "accuracy": _accuracy(reference.labels, reference.baseline),
            "images": len(reference.labels),
            "sha256": baseline_sha256,
        },
        rows=rows,
        hops=tuple(_hops(reference, ran, margin_pp)),
        agreement_matrix=_agreement_matrix(reference, ran),
        per_class=tuple(_per_class(reference, ran)),
        flips=tuple(_flips(reference, ran)),
    )


def overall_verdict(rows: Sequence[Row]) -> str:
    """FAIL if any gating row fails or cannot run, INCONCLUSIVE if any is, or if nothing gates; else PASS."""
    gating = {row.verdict for row in rows if row.gates}
    if gating & {FAIL, UNSUPPORTED}:
        return FAIL
    return PASS if gating == {PASS} else INCONCLUSIVE


def _row(reference: Reference, answers: Outputs, margin_pp: float) -> Row:
    identity = {name: getattr(answers, name) for name in ("artifact", "format", "sha256", "runtime", "runtime_version", "kernels", "target")}
    if answers.limit is not None:
        reference = reference.first(answers.limit)
    images = len(reference.labels)
    # A verdict is about the whole validation part; and reference kernels are an arbiter of the others, not what ships.
    gates = answers.limit is None and answers.kernels != "reference"
    if answers.raw is None:
        return _unjudged(identity, images, gates and answers.claimed, UNSUPPORTED, answers.reason)
    if answers.raw.shape != reference.baseline.shape:
        return _unjudged(identity, images, gates, FAIL, f"outputs {list(answers.raw.shape)}, the baseline has {list(reference.baseline.shape)}")
    strange = int((~np.isfinite(answers.raw)).any(axis=1).sum())
    if strange:
        return _unjudged(identity, images, gates, FAIL, f"{strange} images give NaN or infinity")
    probabilities = answers.probabilities
    export, baseline = answers.labels, reference.baseline.argmax(axis=1)
    broken, fixed = _flip_counts(reference.labels, baseline, export)
    lower, upper = statistics.tango_interval(broken, fixed, images)
    verdict, reason = decide(broken, fixed, images, margin_pp)
    agree = int((export == baseline).sum())
    error = np.abs(probabilities - reference.baseline)
    return Row(
        **identity,
        images=images,
        accuracy=float((export == reference.labels).mean()),
        drop_pp=100 * (broken - fixed) / images,
        drop_lower_pp=100 * lower,
        drop_upper_pp=100 * upper,
        broken=broken,
        fixed=fixed,
        agreement=agree / images,
        agreement_low=statistics.wilson_interval(agree, images)[0],
        mcnemar_p=statistics.mcnemar_p(broken, fixed),
        max_abs_probability_error=float(error.max()),
        mean_abs_probability_error=float(error.mean()),
        ties=int(((answers.raw == answers.raw.max(axis=1, keepdims=True)).sum(axis=1) > 1).sum()),
        gates=gates,
        verdict=verdict,
        reason=reason,
    )


def _unjudged(identity: dict[str, str], images: int, gates: bool, verdict: str, reason: str) -> Row:
    unknown = {name: None for name in Row.__dataclass_fields__ if name not in {*identity, "images", "gates", "verdict", "reason"}}
    return Row(**identity, **unknown, images=images, gates=gates, verdict=verdict, reason=reason)  # type: ignore[arg-type]


def verdict_of(lower_pp: float, upper_pp: float, margin_pp: float) -> str:
    """Non-inferiority: PASS if the upper bound of the drop is within the margin, FAIL if the lower one is beyond it."""
    if upper_pp <= margin_pp:
        return PASS
    return FAIL if lower_pp > margin_pp else INCONCLUSIVE


def decide(broken: int, fixed: int, images: int, margin_pp: float) -> tuple[str, str]:
    """(verdict, reason) of flip counts; for INCONCLUSIVE the reason says how many images would decide."""
    lower, upper = (100 * bound for bound in statistics.tango_interval(broken, fixed, images))
    verdict = verdict_of(lower, upper, margin_pp)
    if verdict == PASS:
        return verdict, f"drop at most {points(upper)} pp at 95 %"
    if verdict == FAIL:
        return verdict, f"drop at least {lower:.2f} pp at 95 %, margin {margin_pp:g}"
    needed = statistics.images_to_decide(broken, fixed, images, margin_pp / 100)
    remedy = f"about {needed:,} images would decide" if needed else "no affordable number of images would decide: the drop is too near the margin"
    return verdict, f"drop between {points(lower)} and {points(upper)} pp at 95 %, margin {margin_pp:g}: {remedy}"


def _flip_counts(labels: np.ndarray, before: np.ndarray, after: np.ndarray) -> tuple[int, int]:
    was_right, is_right = before == labels, after == labels
    return int((was_right & ~is_right).sum()), int((~was_right & is_right).sum())


def _accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    return float((probabilities.argmax(axis=1) == labels).mean())


def _hops(reference: Reference, ran: Sequence[tuple[int, Outputs]], margin_pp: float) -> list[Hop]:
    labels = reference.labels
    chain = {"baseline": reference.baseline, **reference.stages}
    answered = {name: probabilities.argmax(axis=1) for name, probabilities in chain.items()}
    names = list(chain)
    hops = [_hop(labels, a, answered[a], b, answered[b], None, margin_pp) for a, b in zip(names, names[1:], strict=False)]
    for index, answers in ran:
        source, export = answers.source if answers.source in chain else "baseline", answers.labels
        hops.append(_hop(labels[: len(export)], source, answered[source][: len(export)], answers.artifact, export, index, margin_pp))
    return hops


def _hop(labels: np.ndarray, from_: str, before: np.ndarray, to: str, after: np.ndarray, row: int | None, margin_pp: float) -> Hop:
    broken, fixed = _flip_counts(labels, before, after)
    lower, upper = (100 * bound for bound in statistics.tango_interval(broken, fixed, len(labels)))
    verdict = verdict_of(lower, upper, margin_pp)
    return Hop(from_, to, row, len(labels), broken, fixed, 100 * (broken - fixed) / len(labels), upper, verdict)


def _agreement_matrix(reference: Reference, ran: Sequence[tuple[int, Outputs]]) -> dict[str, Any]:
    """Share of images on which each pair of forms gives the same top-1; of the first images, where one of them saw only those."""
    forms = {"baseline": reference.baseline.argmax(axis=1)}
    forms |= {name: probabilities.argmax(axis=1) for name, probabilities in reference.stages.items()}
    forms |= {_form(answers): answers.labels for _, answers in ran}
    values = [[_agreement(a, b) for b in forms.values()] for a in forms.values()]
    return {"names": list(forms), "values": values}


def _agreement(a: np.ndarray, b: np.ndarray) -> float:
    common = min(len(a), len(b))
    return float((a[:common] == b[:common]).mean())


def _form(answers: Outputs) -> str:
    """What tells this row from all others."""
    kernels = "" if answers.kernels == "default" else f" ({answers.kernels} kernels)"
    target = "" if answers.target == "local" else f" at {answers.target}"
    return f"{answers.artifact} on {answers.runtime}{kernels}{target}"


def _per_class(reference: Reference, ran: Sequence[tuple[int, Outputs]]) -> list[dict[str, Any]]:
    """Recall of each class before and after."""
    table = []
    baseline = reference.baseline.argmax(axis=1)
    for index, answers in ran:
        export = answers.labels
        for label in range(reference.baseline.shape[1]):
            members = np.flatnonzero(reference.labels[: len(export)] == label)
            if members.size:
                before, after = float((baseline[members] == label).mean()), float((export[members] == label).mean())
                table.append({"row": index, "class": label, "baseline_recall": before, "export_recall": after, "change_pp": 100 * (after - before)})
    return table


def _flips(reference: Reference, ran: Sequence[tuple[int, Outputs]]) -> list[dict[str, Any]]:
    """Every image whose answer changed: `index` counts within the validation part."""
    baseline = reference.baseline.argmax(axis=1)
    flips = []
    for row, answers in ran:
        export = answers.labels
        flips += [
            {"index": int(i), "label": int(reference.labels[i]), "baseline": int(baseline[i]), "export": int(export[i]), "row": row}
            for i in np.flatnonzero(export != baseline[: len(export)])
        ]
    return flips
