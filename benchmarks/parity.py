"""Does every export answer like the baseline? The verdict, from saved outputs alone.

Non-inferiority on paired images, with a margin declared beforehand: with L and U the one-sided 95 % bounds of the drop (Tango, 1998),
PASS if U <= margin, FAIL if L > margin, else INCONCLUSIVE. Whatever its labels, an export whose logits are much larger or smaller FAILs
(`benchmarks.confidence`). All functions here are pure; `benchmarks.matrix` collects the outputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks import confidence, statistics
from benchmarks.forms import Form, agreement_matrix, export_form, flip_counts, flips, keras_form, recall_changes
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

    @cached_property
    def forms(self) -> dict[str, Form]:
        """The chain that leads to the exports: the baseline, then its stages."""
        return {name: keras_form(name, values) for name, values in {"baseline": self.baseline, **self.stages}.items()}

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
    logit_scale: float | None  # times the baseline's; None, too, where hardly any image is unsure
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
    logit_scale: float | None
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
    labels, chain = reference.labels, reference.forms
    baseline = chain["baseline"]
    exports = {index: export_form(outputs[index]) for index, row in enumerate(rows) if row.accuracy is not None}
    return Report(
        verdict=overall_verdict(rows),
        margin_pp=margin_pp,
        baseline={
            "accuracy": float((baseline.labels == labels).mean()),
            "majority": float(np.bincount(labels).max() / len(labels)),
            "images": len(labels),
            "sha256": baseline_sha256,
        },
        rows=rows,
        hops=tuple(_hops(reference, outputs, exports, margin_pp)),
        agreement_matrix=agreement_matrix([*chain.values(), *exports.values()]),
        per_class=tuple(change for index, export in exports.items() for change in recall_changes(labels, baseline, export, index)),
        flips=tuple(flip for index, export in exports.items() for flip in flips(labels, baseline, export, index)),
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
    baseline, export = reference.forms["baseline"], export_form(answers)
    broken, fixed = flip_counts(reference.labels, baseline, export)
    lower, upper = statistics.tango_interval(broken, fixed, images)
    scale = confidence.logit_scale(baseline.probabilities, export.probabilities)
    verdict, reason = decide(broken, fixed, images, margin_pp)
    if verdict != FAIL and scale and scale.fault:
        verdict, reason = FAIL, f"{scale.fault} (labels: {reason})"
    agree = int((export.labels == baseline.labels).sum())
    error = np.abs(export.probabilities - baseline.probabilities)
    return Row(
        **identity,
        images=images,
        accuracy=float((export.labels == reference.labels).mean()),
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
        logit_scale=scale.value if scale else None,
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


def drop_verdict(judged: Row | Hop, margin_pp: float) -> str:
    """What the labels alone say of a row or hop that has answered."""
    lower, upper = statistics.tango_interval(judged.broken or 0, judged.fixed or 0, judged.images)
    return verdict_of(100 * lower, 100 * upper, margin_pp)


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


def _hops(reference: Reference, outputs: Sequence[Outputs], exports: Mapping[int, Form], margin_pp: float) -> Iterator[Hop]:
    chain = reference.forms
    for before, after in pairwise(chain.values()):
        yield _hop(reference.labels, before, after, after.name, None, margin_pp)
    for index, export in exports.items():
        source = chain.get(outputs[index].source, chain["baseline"])
        yield _hop(reference.labels, source, export, outputs[index].artifact, index, margin_pp)


def _hop(labels: np.ndarray, before: Form, after: Form, to: str, row: int | None, margin_pp: float) -> Hop:
    images = len(after.labels)
    broken, fixed = flip_counts(labels, before, after)
    lower, upper = (100 * bound for bound in statistics.tango_interval(broken, fixed, images))
    scale = confidence.logit_scale(before.probabilities[:images], after.probabilities)
    verdict = FAIL if scale and scale.fault else verdict_of(lower, upper, margin_pp)
    return Hop(before.name, to, row, images, broken, fixed, 100 * (broken - fixed) / images, upper, scale.value if scale else None, verdict)
