"""The dashboard: one file, no network, drawn without a complaint by a real browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from benchmarks.differences import MAX_CLASSES, agreement, class_changes
from benchmarks.gallery import MAX_CARDS, cards, flips_of
from benchmarks.latency import measure
from benchmarks.matrix import Artifact
from benchmarks.parity import Reference, judge
from benchmarks.results import LatencyResult, to_result
from benchmarks.targets import find_target
from tests.pipelines import Run
from tests.reporting import SENTENCE, Judged, with_layers

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--enable-logging=stderr", "--virtual-time-budget=5000",
)  # fmt: skip
STRANGE = '<b>&"x'  # a class name that is no markup


@pytest.fixture(scope="module")
def page(digits_run: Run) -> Path:
    return digits_run.workspace / "dashboard.html"


@pytest.fixture(scope="module")
def failing(tiny_judged: Judged, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a report with failing rows, their layers, and a format that could not be exported."""
    manifest = {**tiny_judged.manifest, "failed": {"tflite-mixed": "no set of <float> layers would do"}}
    path = tmp_path_factory.mktemp("failing") / "dashboard.html"
    path.write_text(tiny_judged.page(parity=with_layers(tiny_judged.parity), manifest=manifest, dataset={"class_names": ["a", STRANGE, "c"]}))
    return path


def _browse(page: Path, profile: Path, width: int, *flags: str) -> subprocess.CompletedProcess[str]:
    if CHROMIUM is None:
        pytest.skip("no chromium on PATH: apt install chromium")
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", f"--window-size={width},2000", *flags, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def _after(page: Path, folder: Path, script: str) -> str:
    """The page as it stands once `script` has run in it, without its scripts."""
    before, after = page.read_text().rsplit("</body>", 1)  # the last one: the chart's script holds others
    probe = folder / "probe.html"
    probe.write_text(f"{before}<script>{script}</script></body>{after}")
    done = _browse(probe, folder / "profile", 1440, "--dump-dom")
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
    return re.sub(r"<script.*?</script>", "", done.stdout, flags=re.S)


def _table(markup: str, name: str) -> list[list[str]]:
    """The cells of a table by its id, as text."""
    found = re.search(rf'<table[^>]*id="{name}".*?</table>', markup, flags=re.S)
    assert found is not None, name
    rows = re.findall(r"<tr.*?</tr>", found[0], flags=re.S)
    return [[unescape(re.sub(r"<.*?>", "", cell)) for cell in re.findall(r"<t[hd].*?</t[hd]>", row, flags=re.S)] for row in rows]


def _choose(row: int) -> str:
    return f'document.getElementById("row").value = "{row}"; document.getElementById("row").dispatchEvent(new Event("change"));'


def _references(page: str) -> list[str]:
    markup = re.sub(r"<script>.*?</script>", "", page, flags=re.S)
    found = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"')\s>]+)""", markup)
    return [reference for reference in found if not reference.startswith("data:")]


def test_it_is_one_small_file_that_asks_for_nothing(page: Path, failing: Path) -> None:
    for text in (page.read_text(), failing.read_text()):
        assert len(text) <= 3_000_000
        assert _references(text) == []


def test_it_shows_verdict_table_chart_flips_and_lineage(page: Path, digits_run: Run) -> None:
    text = page.read_text()
    assert "Ship compact-tflite-int8.tflite" in text
    for row in digits_run.json("parity.json")["rows"]:
        assert f"<td>{row['format']}</td>" in text
    assert text.count("<td>reference</td>") == text.count('<tr class="diagnostic">') == 4, "float32 and int8 on two runtimes"
    assert text.count('class="card flip"') > 0
    assert digits_run.json("training.json")["baseline_sha256"][:16] in text


@pytest.mark.parametrize("width", [500, 1440])
def test_a_browser_draws_it_without_error_or_request(page: Path, tmp_path: Path, width: int) -> None:
    done = _browse(page, tmp_path / "profile", width, "--dump-dom")
    complaints = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert complaints == []
    chart = done.stdout[done.stdout.index('id="chart"') :]
    assert "<svg" in chart[:5000], "the scatter plot is drawn"


@pytest.mark.parametrize("which", ["page", "failing"])
def test_it_does_not_scroll_sideways_on_a_phone(which: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    probe, shown = tmp_path / "probe.html", request.getfixturevalue(which)
    measure = "document.title = frames[0].document.documentElement.scrollWidth"
    probe.write_text(  # in a frame: the narrowest window that headless Chromium makes is 500 px wide
        f'<title></title><iframe src="{shown.as_uri()}" style="width: 360px; height: 5000px; border: 0"></iframe>'
        f'<script>onload = () => setTimeout(() => {{ for (const folded of frames[0].document.querySelectorAll("details")) folded.open = true;'
        f"{measure} }}, 2500)</script>"
    )
    done = _browse(probe, tmp_path / "profile", 800, "--allow-file-access-from-files", "--dump-dom")
    title = re.search(r"<title>(\d+)</title>", done.stdout)
    assert title is not None, done.stderr
    assert int(title[1]) <= 360


def test_the_confusion_difference_and_recall_are_drawn_for_the_row_chosen(failing: Path, tiny_judged: Judged, tmp_path: Path) -> None:
    parity = tiny_judged.parity
    judged = [index for index, row in enumerate(parity["rows"]) if row["accuracy"] is not None]
    first = next(index for index in judged if parity["rows"][index]["verdict"] == "FAIL")
    other = next(index for index in reversed(judged) if parity["rows"][index]["verdict"] == "FAIL")
    for row, script in ((first, ""), (other, _choose(judged.index(other)))):
        shown = _after(failing, tmp_path, script)
        (_, *heads), *lines = _table(shown, "confusion")
        assert heads == [line[0] for line in lines] == ["a", STRANGE, "c"]
        counts = [[int(cell.replace("−", "-")) for cell in line[1:]] for line in lines]
        np.testing.assert_array_equal(counts, tiny_judged.confusion_change(row))
        assert np.abs(counts).sum() > 0
        changes = {entry["class"]: entry["change_pp"] for entry in parity["per_class"] if entry["row"] == row}
        drawn = [float(line[1].removesuffix(" pp").replace("−", "-")) for line in _table(shown, "recall")[1:]]
        assert drawn == pytest.approx([changes[label] for label in range(3)], abs=0.005)


def test_flips_are_filtered_and_other_kernels_shown_on_demand(failing: Path, tiny_judged: Judged, tmp_path: Path) -> None:
    script = 'const kind = document.querySelector("[data-filter=kind]"); kind.value = "broken"; kind.dispatchEvent(new Event("change"));'
    shown = _after(failing, tmp_path, script + 'document.getElementById("all-kernels").click();')
    figures = re.findall(r"<figure[^>]*>", shown)
    assert {'data-kind="broken"' in figure for figure in figures} == {True, False}
    assert all(("hidden" in figure) != ('data-kind="broken"' in figure) for figure in figures)
    assert f"{sum('hidden' not in figure for figure in figures)} shown" in shown
    assert 'class="heat forms all"' in shown
    assert len(_table(shown, "forms")) == 1 + len(tiny_judged.parity["agreement_matrix"]["names"])


def test_failing_rows_show_their_layers_and_failed_formats_their_reason(failing: Path, tiny_judged: Judged) -> None:
    text = failing.read_text()
    failed = sum(row["verdict"] == "FAIL" for row in tiny_judged.parity["rows"])
    assert text.count('class="diagnosis"') == text.count('<tr class="suspect">') == failed
    assert text.count(f"<p>{SENTENCE[0].upper()}{SENTENCE[1:]}.</p>") == failed
    assert "tflite-mixed could not be exported: no set of &lt;float&gt; layers would do" in text
    assert STRANGE not in text, "names are text, not markup"


def test_a_report_without_layers_or_a_workspace_of_strangers_exports_is_shown_too(tiny_judged: Judged) -> None:
    parity = {**tiny_judged.parity, "hops": [{**hop, "from": "baseline"} for hop in tiny_judged.parity["hops"] if hop["row"] is not None]}
    text = tiny_judged.page(parity=parity, dataset={}, training={})
    assert "Where the signal is lost" not in text
    assert 'id="confusion"' in text
    assert "Not measured yet" in text


def test_no_name_ends_the_script_of_the_chart(tiny_judged: Judged, tiny_artifacts: dict[str, Path]) -> None:
    path, digest = tiny_artifacts["tflite-float32"], "ab" * 32
    timed = measure([Artifact(path, "any", "folded", digest, (), 1)], tiny_judged.validation.images, find_target("local"), seconds=0.01)
    strange = "</script><b>tflite"
    parity = {**tiny_judged.parity, "rows": [{**row, "format": f"{strange}-{row['format']}"} for row in tiny_judged.parity["rows"]]}
    text = tiny_judged.page(parity=parity, latency=[LatencyResult(to_result(timed, "local", 1))])
    (chart,) = re.findall(r'vegaEmbed\("#chart", (.*), \{actions', text)
    assert f"{strange}-tflite-float32" in json.dumps(json.loads(chart))
    assert "<" not in chart


def test_where_nothing_ran_the_page_says_so(tiny_judged: Judged) -> None:
    validation = tiny_judged.validation
    missing = [replace(answers, raw=None, claimed=False, reason="nothing is installed") for answers in tiny_judged.outputs]
    parity = judge(Reference(validation.labels, validation.baseline, {}), missing, margin_pp=5, baseline_sha256="cd" * 32).to_dict()
    text = tiny_judged.page(parity=parity)
    assert "nothing is installed" in text
    assert "No answer changed" in text


def test_cards_are_cut_for_each_artifact_and_their_bars_are_the_probabilities(tiny_judged: Judged) -> None:
    flips, validation = flips_of(tiny_judged.parity), tiny_judged.validation
    made = cards(flips, ["a", "b", "c"], validation.images, validation.baseline, tiny_judged.outputs.__getitem__)
    subjects = [card["flip"].subject for card in made]
    assert len(flips) > len(made) == MAX_CARDS == subjects.count("tflite-int8")
    kinds = [card["flip"].kind for card in made]
    assert kinds == sorted(kinds, key=("broken", "fixed", "wrong before and after").index), "what one looks for comes first"
    for card in made:
        flip, after = card["flip"], tiny_judged.outputs[card["flip"].row].probabilities
        label = ["a", "b", "c"].index(card["bars"][1][0])
        assert label == flip.export
        assert card["bars"][1][1:] == pytest.approx((validation.baseline[flip.index, label], after[flip.index, label]))
    everywhere = next(flip for flip in flips if len(flip.where) == 2 and all(len(kernels) == 3 for kernels in flip.where.values()))
    assert everywhere.places == "ai-edge-litert (default, builtin, reference), tflite-runtime (default, builtin, reference)"


def test_the_agreement_matrix_keeps_the_reports_numbers_under_names_that_fit(tiny_judged: Judged) -> None:
    matrix, forms = tiny_judged.parity["agreement_matrix"], agreement(tiny_judged.parity)
    assert [(form.subject, form.place) for form in forms][:3] == [
        ("baseline", "Keras model"), ("folded", "Keras model"), ("tflite-float32", "ai-edge-litert")
    ]  # fmt: skip
    shown = [[float(text) for text, *_ in form.agreements] for form in forms]
    np.testing.assert_allclose(shown, 100 * np.array(matrix["values"]), atol=0.006)
    assert sum(form.usual for form in forms) == 2 + 4
    assert max(depth for form in forms for _, _, depth, _ in form.agreements) == 1


def test_of_many_classes_those_with_the_most_changes_are_shown(tiny_judged: Judged) -> None:
    rng, classes = np.random.default_rng(0), 100
    labels = rng.integers(0, classes, 4000)
    answers = np.where(rng.random(4000) < 0.2, rng.integers(0, classes, 4000), labels)
    outputs = replace(tiny_judged.outputs[0], raw=np.eye(classes, dtype=np.float32)[answers])
    parity = judge(Reference(labels, np.eye(classes)[labels], {}), [outputs], margin_pp=0.25, baseline_sha256="cd" * 32).to_dict()
    (change,) = class_changes(parity, labels, classes)
    assert len(change["shown"]) == len(change["recall"]) == MAX_CLASSES
    assert {label for cell in change["cells"] for label in cell[:2]} <= set(change["shown"])
    moved = {entry["class"]: abs(entry["change_pp"]) for entry in parity["per_class"]}
    assert min(moved[label] for label, *_ in change["recall"]) >= sorted(moved.values())[-MAX_CLASSES]
    assert json.loads(json.dumps(change)) == change, "plain numbers"
