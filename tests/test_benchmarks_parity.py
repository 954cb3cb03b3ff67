from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from benchmarks.outputs import Outputs, from_arrays, to_arrays
from benchmarks.parity import Reference, Report, judge
from benchmarks.reports.junit import junit_xml
from benchmarks.reports.markdown import parity_markdown
from benchmarks.statistics import wilson_interval
from edge_runtime.arrays import read_npz
from edge_runtime.tensors import Quantization

N = 2000
LABELS = np.arange(N) % 3
# The contract with everybody who reads parity.json: fields may be added, never renamed.
REPORT_FIELDS = {"schema", "verdict", "margin_pp", "baseline", "rows", "hops", "agreement_matrix", "per_class", "flips", "layers", "suspects"}
ROW_FIELDS = {
    "artifact", "format", "sha256", "runtime", "runtime_version", "kernels", "target", "images", "accuracy", "drop_pp", "drop_lower_pp",
    "drop_upper_pp", "broken", "fixed", "agreement", "agreement_low", "mcnemar_p", "max_abs_probability_error", "mean_abs_probability_error",
    "logit_scale", "ties", "gates", "verdict", "reason",
}  # fmt: skip
HOP_FIELDS = {"from", "to", "row", "images", "broken", "fixed", "drop_pp", "drop_upper_pp", "logit_scale", "verdict"}


def answering(labels: np.ndarray, wrong: range = range(0)) -> np.ndarray:
    """Logits float32 [n, 3] that choose `labels`, but the next class on the images `wrong`."""
    chosen = np.where(np.isin(np.arange(len(labels)), wrong), (labels + 1) % 3, labels)
    return 4 * np.eye(3, dtype=np.float32)[chosen]


def probabilities(logits: np.ndarray) -> np.ndarray:
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def reference(wrong: range = range(0), n: int = N, **stages: np.ndarray) -> Reference:
    return Reference(LABELS[:n], probabilities(answering(LABELS[:n], wrong)), {name: probabilities(logits) for name, logits in stages.items()})


def export(raw: np.ndarray | None, **facts: Any) -> Outputs:
    identity: dict[str, Any] = {"artifact": "m.tflite", "format": "tflite-int8", "source": "qat", "sha256": "ab", "runtime": "tflite-runtime"}
    identity |= {"runtime_version": "2.14.0", "kernels": "default", "target": "local", "claimed": True}
    return Outputs(**{**identity, **facts}, raw=raw)


def judged(outputs: list[Outputs], against: Reference | None = None) -> Report:
    return judge(against or reference(), outputs, margin_pp=0.25, baseline_sha256="cafe")


def test_an_export_that_answers_alike_passes() -> None:
    report = judged([export(answering(LABELS))])
    (row,) = report.rows
    assert (report.verdict, row.verdict, row.gates, row.broken, row.fixed, row.agreement) == ("PASS", "PASS", True, 0, 0, 1.0)
    assert row.max_abs_probability_error == pytest.approx(0, abs=1e-6)
    assert report.baseline == {"accuracy": 1.0, "majority": np.bincount(LABELS).max() / N, "images": N, "sha256": "cafe"}


def test_one_that_breaks_many_fails_and_says_by_how_much_at_least() -> None:
    report = judged([export(answering(LABELS, range(100)))])
    assert (report.verdict, report.rows[0].verdict, report.rows[0].reason[:16]) == ("FAIL", "FAIL", "drop at least 4.")


def test_too_few_images_are_inconclusive_and_the_reason_says_how_many_would_do() -> None:
    report = judged([export(answering(LABELS[:500]))], reference(n=500))
    assert (report.verdict, report.rows[0].verdict) == ("INCONCLUSIVE", "INCONCLUSIVE")
    (needed,) = re.findall(r"about ([\d,]+) images would decide", report.rows[0].reason)
    assert 1080 < int(needed.replace(",", "")) < 10_000  # 1,080 certify 0.25 pp, if none of them flips


def test_broken_and_fixed_are_counted_apart() -> None:
    report = judged([export(answering(LABELS, range(2, 8)))], reference(wrong=range(5)))  # both wrong on 2..4
    row = report.rows[0]
    assert (row.broken, row.fixed, row.drop_pp, row.accuracy) == (3, 2, pytest.approx(0.05), 1 - 6 / N)
    assert (row.agreement, row.agreement_low) == (1 - 5 / N, wilson_interval(N - 5, N)[0])
    assert row.mcnemar_p == pytest.approx(1.0)
    assert (row.drop_lower_pp or 1) < 0.05 < (row.drop_upper_pp or 0)
    assert [flip["index"] for flip in report.flips] == [0, 1, 5, 6, 7]
    assert report.flips[2] == {"index": 5, "label": 2, "baseline": 2, "export": 0, "row": 0}


def unsure(scale: float = 1) -> np.ndarray:
    """Logits float32 [N, 3] that choose LABELS, by a margin of 0.5 to 3; times `scale`."""
    return scale * np.linspace(0.5, 3, N, dtype=np.float32)[:, None] * np.eye(3, dtype=np.float32)[LABELS]


def test_the_same_labels_by_other_probabilities_fail_and_the_hop_is_named() -> None:
    of = Reference(LABELS, probabilities(unsure()), {"folded": probabilities(unsure()), "qat": probabilities(unsure(1.2))})
    report = judged([export(unsure()), export(unsure(4))], of)
    assert [row.verdict for row in report.rows] == ["PASS", "FAIL"]
    assert (report.rows[1].broken, report.rows[1].fixed, report.rows[1].logit_scale) == (0, 0, pytest.approx(4, rel=1e-4))
    assert (
        report.rows[1].reason
        == "other probabilities: its logits are 4.00 times the baseline's, a factor of 1.3 is allowed (labels: drop at most 0.14 pp at 95 %)"
    )
    assert [(hop.to, hop.verdict) for hop in report.hops] == [("folded", "PASS"), ("qat", "PASS"), ("m.tflite", "PASS"), ("m.tflite", "FAIL")]
    assert report.hops[3].logit_scale == pytest.approx(4 / 1.2, rel=1e-4)


def test_other_probabilities_do_not_hide_how_many_images_labels_need() -> None:
    of = Reference(LABELS[::10], probabilities(unsure())[::10], {})
    (row,) = judged([export(unsure(4)[::10])], of).rows
    assert (row.verdict, "images would decide" in row.reason) == ("FAIL", True)


def test_what_loses_answers_says_so_whatever_its_probabilities() -> None:
    wrong = unsure(4)
    wrong[:100] = wrong[:100, [1, 2, 0]]
    report = judged([export(wrong)], Reference(LABELS, probabilities(unsure()), {}))
    assert report.rows[0].reason.startswith("drop at least 4.")


@pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf])
def test_an_answer_that_is_no_number_fails_though_its_label_is_right(strange: float) -> None:
    raw = answering(LABELS)
    raw[7, (LABELS[7] + 1) % 3] = strange
    report = judged([export(raw)])
    assert (report.verdict, report.rows[0].reason) == ("FAIL", "1 images give NaN or infinity")


@pytest.mark.parametrize("shape", [(N - 1, 3), (N, 4), (N,)])
def test_outputs_of_the_wrong_shape_fail(shape: tuple[int, ...]) -> None:
    report = judged([export(np.zeros(shape, np.float32))])
    assert (report.verdict, str(list(shape)) in report.rows[0].reason) == ("FAIL", True)


def test_a_runtime_that_cannot_load_it_gates_only_when_the_manifest_claims_it() -> None:
    sound, claimed = export(answering(LABELS)), export(None, reason="unresolved operator")
    assert judged([sound, claimed]).verdict == "FAIL"
    report = judged([sound, export(None, claimed=False, reason="not installed")])
    assert report.verdict == "PASS"
    assert (report.rows[1].verdict, report.rows[1].gates, report.rows[1].reason) == ("UNSUPPORTED", False, "not installed")


@pytest.mark.parametrize("raw", [answering(LABELS, range(500)), np.full((N, 3), np.nan, np.float32), np.zeros((1, 3)), None])
def test_reference_kernels_are_reported_but_never_gate(raw: np.ndarray | None) -> None:
    report = judged([export(answering(LABELS)), export(raw, kernels="reference")])
    assert report.rows[1].verdict in ("FAIL", "UNSUPPORTED")
    assert not report.rows[1].gates
    assert report.verdict == "PASS"


def test_where_nothing_gates_nothing_is_proved() -> None:
    assert judged([]).verdict == "INCONCLUSIVE"
    assert judged([export(answering(LABELS), kernels="reference")]).verdict == "INCONCLUSIVE"
    assert judged([export(None, claimed=False)]).verdict == "INCONCLUSIVE"


def test_ties_are_counted_and_go_to_the_lowest_class() -> None:
    raw = (answering(LABELS) * 10).astype(np.int8)
    raw[0], raw[1], raw[2] = (7, 7, 0), (5, 5, 5), (0, 0, -9)
    outputs = export(raw, quantization=Quantization(0.1, 0, "int8"))
    assert outputs.labels[:3].tolist() == [0, 0, 0]
    row = judged([outputs]).rows[0]
    assert (row.ties, row.broken, (row.max_abs_probability_error or 0) > 0.5) == (3, 2, True)


def test_a_failure_names_the_hop_that_lost_the_answers() -> None:
    lossy = answering(LABELS, range(100))
    report = judged([export(lossy), export(answering(LABELS), source="folded")], reference(folded=answering(LABELS), qat=lossy))
    hops = {(hop.from_, hop.to, hop.row): (hop.broken, hop.verdict) for hop in report.hops}
    assert hops == {
        ("baseline", "folded", None): (0, "PASS"),
        ("folded", "qat", None): (100, "FAIL"),
        ("qat", "m.tflite", 0): (0, "PASS"),
        ("folded", "m.tflite", 1): (0, "PASS"),
    }
    assert [(hop.from_, hop.row) for hop in judged([export(lossy)]).hops] == [("baseline", 0)], "without its stage: the baseline itself"


def test_the_agreement_matrix_is_symmetric_with_one_on_its_diagonal_and_a_place_for_every_row() -> None:
    rows = [export(answering(LABELS, range(20 * i)), runtime=runtime) for i, runtime in enumerate(("ai-edge-litert", "tflite-runtime"))]
    rows += [export(answering(LABELS, range(60)), kernels="reference"), export(answering(LABELS, range(80)), target="sim-pi4")]
    matrix = judged(rows, reference(folded=answering(LABELS))).agreement_matrix
    values = np.array(matrix["values"])
    assert len(set(matrix["names"])) == len(matrix["names"]) == 6
    np.testing.assert_array_equal(values, values.T)
    np.testing.assert_array_equal(np.diag(values), 1)
    assert values[0].tolist() == [1, 1, 1, 1 - 20 / N, 1 - 60 / N, 1 - 80 / N]


def test_recall_is_compared_class_by_class_and_classes_without_images_are_left_out() -> None:
    labels = np.repeat([1, 0], N // 2)
    against = Reference(labels, probabilities(answering(labels)), {})
    (zero, one) = judged([export(answering(labels, range(100)))], against).per_class
    assert (zero["class"], zero["change_pp"], one["class"]) == (0, 0, 1)
    assert (one["baseline_recall"], one["export_recall"], one["change_pp"]) == (1.0, 0.9, pytest.approx(-10))


def mixed_report() -> dict[str, Any]:
    reason = 'op <FLEX> & "friends"\x1b[0m'
    rows = [export(answering(LABELS)), export(answering(LABELS, range(100)), runtime="ai-edge-litert"), export(answering(LABELS, range(5)))]
    rows += [export(None, artifact="m.onnx", claimed=False, reason=reason), export(answering(LABELS, range(100)), kernels="reference")]
    return judged(rows, reference(folded=answering(LABELS))).to_dict()


def test_the_report_has_the_fields_that_were_promised_and_is_json() -> None:
    fields = json.loads(json.dumps(mixed_report(), allow_nan=False))
    assert (set(fields), set(fields["baseline"])) == (REPORT_FIELDS, {"accuracy", "majority", "images", "sha256"})
    assert all(set(row) == ROW_FIELDS for row in fields["rows"])
    assert all(set(hop) == HOP_FIELDS for hop in fields["hops"])
    assert all(set(flip) == {"index", "label", "baseline", "export", "row"} for flip in fields["flips"])


def test_junit_and_markdown_say_the_same_verdicts() -> None:
    report = mixed_report()
    verdicts = [row["verdict"] for row in report["rows"]]
    assert verdicts == ["PASS", "FAIL", "INCONCLUSIVE", "UNSUPPORTED", "FAIL"]
    (suite,) = ElementTree.fromstring(junit_xml(report).encode())
    told = [(case[0].tag, case[0].attrib["message"].split(":")[0]) if len(case) else ("", "PASS") for case in suite]
    assert told == list(zip(["", "failure", "failure", "skipped", "skipped"], verdicts, strict=True)), "what does not gate fails no build"
    assert (suite.attrib["tests"], suite.attrib["failures"], suite.attrib["skipped"]) == ("5", "2", "2")
    lines = parity_markdown(report).splitlines()
    assert lines[0] == "## Parity: FAIL"
    assert [line.split("|")[-2].strip() for line in lines if line.startswith("| m.")] == verdicts


@pytest.mark.parametrize("quantization", [None, Quantization(0.25, -3, "int8")])
@pytest.mark.parametrize("raw", [None, (answering(LABELS) * 9).astype(np.int8)])
def test_saved_outputs_judge_the_same_again(tmp_path: Path, quantization: Quantization | None, raw: np.ndarray | None) -> None:
    outputs = export(raw, quantization=quantization, output="probabilities", reason="ein Grund, kein Absturz")
    np.savez(tmp_path / "outputs.npz", **to_arrays(outputs))
    again = from_arrays(read_npz(tmp_path / "outputs.npz", "never"))
    assert raw is None or np.array_equal(again.answered, raw)
    assert {**vars(again), "raw": None} == {**vars(outputs), "raw": None}
    assert judged([again]).to_dict() == judged([outputs]).to_dict()
