"""One verdict for several readers: what is listed, what is folded away, and that no row is lost or counted twice."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from benchmarks.reports.junit import junit_xml
from benchmarks.reports.layers import diagnoses
from benchmarks.reports.markdown import parity_markdown
from benchmarks.reports.summary import main_hops, other_rows, others_sentence, summarize
from benchmarks.reports.terminal import VERDICT_COLUMNS, VerdictTable, layer_tables, summary_cells, summary_table, verdict_cells
from benchmarks.reports.wording import doubt, labels, percent, points, reasons, shortened, subjects
from tests.reporting import SENTENCE, Judged, with_layers


def gating(parity: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for row in parity["rows"] if row["gates"]]


def printed(renderable: Any, width: int = 160) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(renderable)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def test_the_report_of_the_fixture_has_every_kind_of_row(tiny_judged: Judged) -> None:
    rows = tiny_judged.parity["rows"]
    assert {(row["kernels"], row["gates"]) for row in rows} == {("default", True), ("builtin", True), ("reference", False), ("default", False)}
    assert {row["verdict"] for row in gating(tiny_judged.parity)} == {"PASS", "FAIL"}
    assert {row["verdict"] for row in rows if not row["gates"]} == {"PASS", "FAIL", "UNSUPPORTED"}


def test_the_table_of_verdicts_has_a_line_for_every_row_and_marks_the_diagnostic_ones(tiny_judged: Judged) -> None:
    head, *lines = printed(VerdictTable(tiny_judged.parity))
    rows = tiny_judged.parity["rows"]
    assert tuple(re.split(r"  +", head)) == VERDICT_COLUMNS
    assert len(lines) == len(rows)
    assert ["diagnostic" in line for line in lines] == [not row["gates"] for row in rows]
    assert [row["kernels"] in line and row["verdict"] in line for line, row in zip(lines, rows, strict=True)] == [True] * len(rows)
    assert sum("tflite-float32" in line for line in lines) == 1, "an artifact is named once"
    assert sum("tflite-runtime" in line for line in lines) == 2, "and its runtime once"


@pytest.mark.parametrize("width", [80, 100, 140])
def test_in_a_narrow_terminal_columns_are_left_out_and_lines_stay_whole(tiny_judged: Judged, width: int) -> None:
    head, *lines = printed(VerdictTable(tiny_judged.parity), width)
    assert len(lines) == len(tiny_judged.parity["rows"])
    assert {"format", "runtime", "kernels", "verdict"} < set(head.split())
    assert ("images" in head) == (width == 140)
    assert not any("…" in line for line in lines)


def test_the_result_table_leaves_out_kernels_that_stand_in_nobodys_way(tiny_judged: Judged) -> None:
    shown = summarize(tiny_judged.parity, tiny_judged.manifest, [])
    left_out = other_rows(tiny_judged.parity)
    assert len(shown) + len(left_out) == len(tiny_judged.parity["rows"])
    assert {(row.format, row.kernels) for row in shown} == {
        ("tflite-float32", "default"), ("tflite-int8", "default"), ("tflite-int8", "builtin"), ("onnx-float32", "default")
    }  # fmt: skip
    assert others_sentence(tiny_judged.parity) == "6 more rows (builtin and reference kernels): 2 PASS, 4 diagnostic (2 FAIL)"
    assert others_sentence({"rows": [row for row in tiny_judged.parity["rows"] if row["kernels"] == "default"]}) is None


def test_a_name_in_brackets_is_no_markup(tiny_judged: Judged) -> None:
    parity = with_layers({**tiny_judged.parity, "rows": [{**row, "format": f"{row['format']}[v2]"} for row in tiny_judged.parity["rows"]]})
    parity["layers"] = [{**layer, "layer": f"{layer['layer']}[red]"} for layer in parity["layers"]]
    (layers,) = layer_tables(parity)
    for table in (VerdictTable(parity), summary_table(summarize(parity, tiny_judged.manifest, [])), layers):
        assert any("tflite-int8[v2]" in line for line in printed(table))
    assert any(line.startswith("conv2d[red] ") for line in printed(layers))


def test_files_of_one_format_are_told_apart_in_the_result_table(tiny_judged: Judged) -> None:
    parity = {**tiny_judged.parity, "rows": [{**row, "format": "tflite"} for row in tiny_judged.parity["rows"]]}
    shown = summarize(parity, tiny_judged.manifest, [])
    assert {summary_cells(row)[0] for row in shown} == set(tiny_judged.manifest["artifacts"])


def test_hops_are_those_of_the_result_table(tiny_judged: Judged) -> None:
    hops = [(hop["from"], None if hop["row"] is None else tiny_judged.parity["rows"][hop["row"]]["kernels"]) for hop in main_hops(tiny_judged.parity)]
    assert hops[0] == ("baseline", None)
    assert sorted(kernels for _, kernels in hops if kernels) == ["builtin"] * 2 + ["default"] * 4


def test_a_reason_stands_for_what_gates_and_fails_and_once_for_a_missing_runtime(tiny_judged: Judged) -> None:
    told = reasons(tiny_judged.parity)
    assert sum(": FAIL: " in line for line in told) == 4
    assert [line for line in told if "not installed" in line] == [
        "onnx-float32 on onnxruntime: UNSUPPORTED: onnxruntime is not installed: pip install 'edgeproof[onnx]'"
    ]
    twice = {
        **tiny_judged.parity,
        "rows": tiny_judged.parity["rows"] + [{**tiny_judged.parity["rows"][-1], "artifact": "other.onnx", "format": "onnx-int8"}],
    }
    assert len(reasons(twice)) == len(told) == 5
    assert not any("reference" in line for line in told)


@pytest.mark.parametrize(("accuracy", "doubted"), [(0.1, True), (0.25, True), (0.26, True), (0.3, False), (0.99, False)])
def test_a_baseline_that_knows_no_more_than_the_most_frequent_class_is_doubted(tiny_judged: Judged, accuracy: float, doubted: bool) -> None:
    baseline = {"accuracy": accuracy, "majority": 0.25, "images": 1000, "sha256": "cd" * 32}
    fields = {**tiny_judged.parity, "baseline": baseline}
    told = doubt(baseline)
    assert (told is not None) == doubted
    if told:
        assert "the most frequent class (25.00 %): look at the order of the classes" in told
        assert told in parity_markdown(fields)
        assert told in replace(tiny_judged, parity=fields).page()
    del baseline["majority"]
    assert doubt(baseline) is None, "an older file"


def test_labels_tell_rows_apart_even_where_two_files_have_one_format(tiny_judged: Judged) -> None:
    assert "tflite-int8 on tflite-runtime (builtin kernels)" in labels(tiny_judged.parity)
    rows = [{**row, "format": "tflite"} for row in tiny_judged.parity["rows"]]
    assert subjects(rows) == {name: name for name in {row["artifact"] for row in rows}}
    for parity in (tiny_judged.parity, {"rows": rows}, {"rows": [*rows, {**rows[0], "target": "sim-pi4"}]}):
        assert len(set(labels(parity))) == len(parity["rows"])


def test_only_all_is_100_percent() -> None:
    assert [percent(share) for share in (1.0, 0.99999, 0.99176, 0.0, None)] == ["100.00 %", "99.99 %", "99.18 %", "0.00 %", ""]


def test_zero_has_no_minus_sign() -> None:
    assert [points(drop) for drop in (-0.004, 0.0, -0.04, 0.126)] == ["0.00", "0.00", "-0.04", "0.13"]


@given(st.text(max_size=60), st.integers(9, 30))
def test_a_shortened_name_keeps_both_ends(name: str, length: int) -> None:
    short = shortened(name, length)
    assert len(short) <= length
    assert short == name or (name.startswith(short.split("…")[0]) and name.endswith(short[length // 3 + 1 :]) and len(short) == length)


def test_markdown_lists_what_gates_first_and_folds_the_rest_away(tiny_judged: Judged) -> None:
    parity = with_layers(tiny_judged.parity)
    text = parity_markdown(parity)
    assert text.startswith("## Parity: FAIL\n")
    top, *_ = text.split("\n\n- ")
    folded = text[text.index("diagnostic rows, which decide nothing") :]
    assert top.count("| tiny-") == len(gating(parity))
    assert folded.count("| tiny-") == len(parity["rows"]) - len(gating(parity))
    assert text.count("<details>") == text.count("</details>") == 1 + 4, "the diagnostic rows, and the layers of each gating row that fails"
    assert text.count("| conv2d | 2.5 dB | 37.6 dB | 21.3 % | **← suspect** |") == 4
    assert text.count(SENTENCE) == 4, "once a row, as its reason already ends with it"
    for line in text.splitlines():
        if line.startswith("| tiny-"):
            assert line.count(" | ") == text.splitlines()[4].count(" | "), "every line has all columns"


def test_markdown_of_a_report_without_layers_or_with_a_sentence_of_its_own(tiny_judged: Judged) -> None:
    assert "suspect" not in parity_markdown(tiny_judged.parity)
    parity = {**with_layers(tiny_judged.parity), "rows": tiny_judged.parity["rows"], "layers": []}
    assert parity_markdown(parity).count(SENTENCE) == 4


def test_markdown_takes_no_strangers_name_for_its_own_marks(tiny_judged: Judged) -> None:
    rows = [{**row, "artifact": "a|b<c>.tflite", "reason": "op <FLEX>\n| broke"} for row in tiny_judged.parity["rows"]]
    text = parity_markdown({**tiny_judged.parity, "rows": rows})
    assert "| a\\|b&lt;c>.tflite |" in text
    assert "op &lt;FLEX> \\| broke" in text


def test_diagnoses_mark_the_suspect_layer_only(tiny_judged: Judged) -> None:
    assert diagnoses(tiny_judged.parity) == []
    found = diagnoses(with_layers(tiny_judged.parity))
    assert [entry.row for entry in found] == [index for index, row in enumerate(tiny_judged.parity["rows"]) if row["verdict"] == "FAIL"]
    assert [[layer.name for layer in entry.layers if layer.suspect] for entry in found] == [["conv2d"]] * len(found)
    assert found[0].layers[0].cells == ("input", "", "", "0.0 %")


def test_junit_has_a_case_of_its_own_for_every_row_and_the_counts_that_readers_want(tiny_judged: Judged) -> None:
    parity = with_layers(tiny_judged.parity)
    root = ElementTree.fromstring(junit_xml(parity).encode())
    (suite,) = root
    assert (root.tag, suite.tag, {case.tag for case in suite}) == ("testsuites", "testsuite", {"testcase"})
    names = [(case.attrib["classname"], case.attrib["name"]) for case in suite]
    assert len(set(names)) == len(names) == len(parity["rows"])
    assert "tiny-tflite-int8.tflite on ai-edge-litert, builtin kernels, local" in {name for _, name in names}
    for element in (root, suite):
        counts = {name: int(element.attrib[name]) for name in ("tests", "failures", "errors", "skipped")}
        assert counts == {"tests": 13, "failures": 4, "errors": 0, "skipped": 3}  # reference rows that pass are passed cases
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert failure.attrib["type"] == "FAIL"
    assert failure.text == failure.attrib["message"]
    assert SENTENCE in failure.attrib["message"]


def test_cells_agree_with_the_report(tiny_judged: Judged) -> None:
    row = next(row for row in tiny_judged.parity["rows"] if row["verdict"] == "FAIL")
    cells = verdict_cells(tiny_judged.parity)[tiny_judged.parity["rows"].index(row)]
    said = dict(zip(VERDICT_COLUMNS, cells, strict=True))
    assert (said["broken"], said["fixed"], said["verdict"]) == (str(row["broken"]), str(row["fixed"]), "FAIL")
    assert said["accuracy"] == f"{100 * row['accuracy']:.2f} %"
