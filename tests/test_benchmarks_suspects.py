from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.layers import LayerRow
from benchmarks.outputs import Outputs
from benchmarks.parity import Reference, Report, judge
from benchmarks.reports.terminal import layer_tables
from benchmarks.suspects import Culprit, culprits, explain
from tests.test_benchmarks_parity import LABELS, answering, export, probabilities, reference

TABLE = [LayerRow("input", 150, 0, 0), LayerRow("conv2d", 52, 0, 0), LayerRow("conv2d_1", 3.6, 0.25, 36.4), LayerRow("dense", 4, None, -0.4)]

OWN = Culprit("qat", "m.tflite", own=True)


def judged(outputs: list[Outputs], **stages: np.ndarray) -> Report:
    return judge(reference(**stages), outputs, margin_pp=0.25, baseline_sha256="cafe")


def wrong(count: int) -> np.ndarray:
    return answering(LABELS, range(count))


@pytest.mark.parametrize(
    ("folded", "qat", "raw", "source", "culprit"),
    [
        (0, 0, 100, "qat", OWN),
        (0, 100, 110, "qat", Culprit("folded", "qat", own=False)),
        (100, 100, 100, "qat", Culprit("baseline", "folded", own=False)),
        (100, 200, 300, "qat", Culprit("baseline", "folded", own=False)),  # the first that fails by itself
        (0, 100, 100, "folded", Culprit("folded", "m.tflite", own=True)),  # never came by the QAT model
        (0, 3, 7, "qat", OWN),  # none fails by itself: the one that drops most
        (0, 4, 7, "qat", Culprit("folded", "qat", own=False)),
        (0, 0, 0, "qat", None),
        (100, 100, 100, "baseline", Culprit("baseline", "m.tflite", own=True)),  # a stranger's export came by no stage
        (0, 0, 100, "unheard of", None),
    ],
)
def test_the_hop_that_loses_the_answers(folded: int, qat: int, raw: int, source: str, culprit: Culprit | None) -> None:
    outputs = [export(wrong(raw), source=source)]
    found = culprits(judged(outputs, folded=wrong(folded), qat=wrong(qat)), outputs)
    assert found == ({0: culprit} if culprit else {})


def test_only_rows_that_fail_or_gate_undecided_are_explained() -> None:
    outputs = [export(wrong(100)), export(wrong(0)), export(wrong(6)), export(wrong(6), kernels="reference"), export(wrong(100), kernels="reference")]
    report = judged(outputs, folded=wrong(0), qat=wrong(0))
    assert [row.verdict for row in report.rows] == ["FAIL", "PASS", "INCONCLUSIVE", "INCONCLUSIVE", "FAIL"]
    assert set(culprits(report, outputs)) == {0, 2, 4}


LOGITS = np.linspace(0.5, 3, len(LABELS), dtype=np.float32)[:, None] * np.eye(3, dtype=np.float32)[LABELS]


@pytest.mark.parametrize(
    ("qat", "raw", "culprit"),
    [
        (1, 4, Culprit("qat", "m.tflite", own=True, changed=True)),
        (4, 4, Culprit("folded", "qat", own=False, changed=True)),
        (1.3, 2, Culprit("qat", "m.tflite", own=True, changed=True)),  # neither hop fails by itself: the one that changes most
        (1.6, 2, Culprit("folded", "qat", own=False, changed=True)),
        (1, 1, None),
    ],
)
def test_the_hop_that_changes_probabilities(qat: float, raw: float, culprit: Culprit | None) -> None:
    outputs = [export(raw * LOGITS)]
    of = Reference(LABELS, probabilities(LOGITS), {"folded": probabilities(LOGITS), "qat": probabilities(qat * LOGITS)})
    report = judge(of, outputs, margin_pp=0.25, baseline_sha256="cafe")
    assert culprits(report, outputs) == ({0: culprit} if culprit else {})
    if culprit:
        sentence = explain(report, culprits(report, outputs), {}).suspects[0]["sentence"]
        assert sentence.startswith(f"changed between {culprit.from_} and ")


def test_a_hop_that_only_changes_probabilities_is_not_blamed_for_lost_answers() -> None:
    lossy = 1.8 * LOGITS
    lossy[:200] = lossy[:200, [1, 2, 0]]
    of = Reference(LABELS, probabilities(LOGITS), {"folded": probabilities(LOGITS), "qat": probabilities(1.8 * LOGITS)})
    outputs = [export(lossy)]
    assert culprits(judge(of, outputs, margin_pp=0.25, baseline_sha256="cafe"), outputs) == {0: OWN}


def test_an_export_without_numbers_is_looked_into_too() -> None:
    strange = wrong(0)
    strange[3] = np.nan
    outputs = [export(strange)]
    assert culprits(judged(outputs, folded=wrong(0), qat=wrong(0)), outputs) == {0: OWN}


def explained(table: list[LayerRow] | None, culprit: Culprit = OWN) -> dict[str, Any]:
    report = judged([export(wrong(0)), export(wrong(100))], folded=wrong(0), qat=wrong(0))
    return explain(report, {1: culprit}, {1: table} if table else {}).to_dict()


def test_the_report_names_the_layer_in_the_table_the_suspect_and_the_reason() -> None:
    fields = explained(TABLE)
    assert fields["layers"][2] == {"row": 1, "layer": "conv2d_1", "snr_db": 3.6, "saturated": 0.25, "fall_db": 36.4}
    sentence = "lost between qat and tflite-int8, where conv2d_1 falls from 52 to 4 dB"
    hop = {"from": "qat", "to": "m.tflite"}
    assert fields["suspects"] == [{"row": 1, "hop": hop, "layer": "conv2d_1", "snr_before_db": 52, "snr_db": 3.6, "sentence": sentence}]
    assert fields["rows"][1]["reason"].endswith(f"margin 0.25; {sentence}")
    assert "lost" not in fields["rows"][0]["reason"]


@pytest.mark.parametrize(
    ("table", "culprit", "layer", "sentence"),
    [
        (None, OWN, None, "lost between qat and tflite-int8"),
        (None, Culprit("folded", "qat", own=False), None, "lost between folded and qat, before the export"),
        (TABLE[:2], OWN, None, "lost between qat and tflite-int8, in no layer more than in the others"),
        (
            [LayerRow("input", 8, 0.3, 32), *TABLE[1:2]],
            OWN,
            "input",
            "lost between qat and tflite-int8, where the input is at 8 dB already: it is not scaled as in training",
        ),
    ],
)
def test_what_is_said_where_no_layer_falls(table: list[LayerRow] | None, culprit: Culprit, layer: str | None, sentence: str) -> None:
    (found,) = explained(table, culprit)["suspects"]
    assert (found["layer"], found["sentence"]) == (layer, sentence)


def test_the_terminal_shows_one_table_an_artifact() -> None:
    outputs = [export(wrong(100)), export(wrong(100), runtime="ai-edge-litert"), export(wrong(100), artifact="n.onnx")]
    report = judged(outputs, folded=wrong(0), qat=wrong(0))
    tables = layer_tables(explain(report, culprits(report, outputs), {0: TABLE, 1: TABLE[:1], 2: TABLE[:3]}).to_dict())
    assert [str(table.title) for table in tables] == ["Layers of m.tflite on tflite-runtime", "Layers of n.onnx on tflite-runtime"]
    assert [table.row_count for table in tables] == [4, 3]
    assert [[str(cell) for cell in column.cells][2:] for column in tables[0].columns] == [
        ["conv2d_1", "dense"], ["3.6 dB", "4.0 dB"], ["36.4 dB", "-0.4 dB"], ["25.0 %", ""],
    ]  # fmt: skip
    assert layer_tables(report.to_dict()) == []
