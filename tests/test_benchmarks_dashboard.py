"""The dashboard of a failing report: what it is made from, and what a browser draws of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.differences import MAX_CLASSES, agreement, class_changes
from benchmarks.gallery import MAX_CARDS, cards, flips_of
from benchmarks.parity import Reference, judge
from evidence.browser import CHROMIUM, Browser
from evidence.page_checks import opened
from tests.reporting import SENTENCE, Judged, with_layers

STRANGE = '<b>&"x</script>'  # a class name that is no markup


@pytest.fixture(scope="module")
def failing(tiny_judged: Judged, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a report with failing rows, their layers, and a format that could not be exported."""
    manifest = {**tiny_judged.manifest, "failed": {"tflite-mixed": "no set of <float> layers would do"}}
    path = tmp_path_factory.mktemp("failing") / "dashboard.html"
    path.write_text(tiny_judged.page(parity=with_layers(tiny_judged.parity), manifest=manifest, dataset={"class_names": ["a", STRANGE, "c"]}))
    return path


@pytest.fixture
def browser(failing: Path) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no chromium on PATH: apt install chromium")
    with opened(failing, 1440) as browser:
        yield browser
        assert browser.complaints() == []


def _table(browser: Browser, part: str) -> list[list[str]]:
    """The cells of a table as text, once it is drawn."""
    table = f"document.querySelector('[data-part={part}]')"
    browser.run(f"{table}.scrollIntoView()")
    browser.until(lambda: browser.run(f"{table}.rows.length"), part)
    return list(browser.run(f"[...{table}.rows].map((row) => [...row.cells].map((cell) => cell.textContent))"))


def test_the_confusion_difference_and_recall_are_drawn_for_the_row_chosen(browser: Browser, tiny_judged: Judged) -> None:
    parity = tiny_judged.parity
    judged = [index for index, row in enumerate(parity["rows"]) if row["accuracy"] is not None]
    first = next(index for index in judged if parity["rows"][index]["verdict"] == "FAIL")
    other = next(index for index in reversed(judged) if parity["rows"][index]["verdict"] == "FAIL")
    assert first != other
    _table(browser, "confusion")
    for row in (first, other):
        if row == other:
            chooser = 'document.querySelector("[data-part=row]")'
            browser.run(f'{chooser}.value = "{judged.index(other)}"; {chooser}.dispatchEvent(new Event("change"))')
        (_, *heads), *lines = _table(browser, "confusion")
        assert heads == [line[0] for line in lines] == ["a", STRANGE, "c"]
        counts = [[int(cell.replace("−", "-")) for cell in line[1:]] for line in lines]
        np.testing.assert_array_equal(counts, tiny_judged.confusion_change(row))
        assert np.abs(counts).sum() > 0
        changes = {entry["class"]: entry["change_pp"] for entry in parity["per_class"] if entry["row"] == row}
        drawn = [float(line[1].removesuffix(" pp").replace("−", "-")) for line in _table(browser, "recall")[1:]]
        assert drawn == pytest.approx([changes[label] for label in range(3)], abs=0.005)


def test_flips_are_filtered_and_other_kernels_shown_on_demand(browser: Browser, tiny_judged: Judged) -> None:
    browser.run('document.querySelector("[data-part=flips]").scrollIntoView()')
    browser.until(lambda: browser.run('document.querySelectorAll(".flip").length'), "the pictures")
    browser.run('{const kind = document.querySelector("[data-filter=kind]"); kind.value = "broken"; kind.dispatchEvent(new Event("change"))}')
    shown = browser.run('[...document.querySelectorAll(".flip")].map((one) => [one.hidden, one.querySelector(".verdict").textContent])')
    assert {hidden for hidden, _ in shown} == {True, False}
    assert all(hidden != (kind == "broken") for hidden, kind in shown)
    assert browser.text("[data-part=flips-shown]") == f"{sum(not hidden for hidden, _ in shown)} shown"
    assert browser.run('[...document.querySelectorAll(".flip img")].every((one) => one.naturalWidth === 8)'), "real pictures"
    lines = _table(browser, "forms")
    browser.run('document.querySelector("[data-part=all-kernels]").click()')
    assert browser.run('document.querySelector("[data-part=forms]").classList.contains("all")')
    assert len(lines) == 1 + len(tiny_judged.parity["agreement_matrix"]["names"])


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
    assert 'data-part="confusion"' in text
    assert "Not measured yet" in text
    assert "bench --peers" in text, "the command that answers the second question"


def test_where_nothing_ran_the_page_says_so(tiny_judged: Judged) -> None:
    validation = tiny_judged.validation
    missing = [replace(answers, raw=None, claimed=False, reason="nothing is installed") for answers in tiny_judged.outputs]
    parity = judge(Reference(validation.labels, validation.baseline, {}), missing, margin_pp=5, baseline_sha256="cd" * 32).to_dict()
    text = tiny_judged.page(parity=parity)
    assert "nothing is installed" in text
    assert "No answer changed" in text


def test_cards_are_cut_for_each_artifact_and_their_bars_are_the_probabilities(tiny_judged: Judged) -> None:
    flips, validation = flips_of(tiny_judged.parity), tiny_judged.validation
    made, pictures = cards(flips, ["a", "b", "c"], validation.images, validation.baseline, tiny_judged.outputs.__getitem__)
    subjects = [card["subject"] for card in made]
    assert len(flips) > len(made) == MAX_CARDS == subjects.count("tflite-int8")
    assert set(pictures) == {card["index"] for card in made}
    kinds = [card["kind"] for card in made]
    assert kinds == sorted(kinds, key=("broken", "fixed", "wrong before and after").index), "what one looks for comes first"
    for card, flip in zip(made, [flip for flip in flips if flip.subject == "tflite-int8"][:MAX_CARDS], strict=True):
        after = tiny_judged.outputs[flip.row].probabilities
        label = ["a", "b", "c"].index(card["bars"][1][0])
        assert (card["index"], label) == (flip.index, flip.export)
        assert card["bars"][1][1:] == pytest.approx((validation.baseline[flip.index, label], after[flip.index, label]), abs=1e-4)
    everywhere = next(flip for flip in flips if len(flip.where) == 2 and all(len(kernels) == 3 for kernels in flip.where.values()))
    assert everywhere.places == "ai-edge-litert (default, builtin, reference), tflite-runtime (default, builtin, reference)"


def test_the_agreement_matrix_keeps_the_reports_numbers_under_names_that_fit(tiny_judged: Judged) -> None:
    matrix, forms = tiny_judged.parity["agreement_matrix"], agreement(tiny_judged.parity)
    assert [(form.subject, form.place) for form in forms][:3] == [
        ("baseline", "Keras model"), ("folded", "Keras model"), ("tflite-float32", "ai-edge-litert")
    ]  # fmt: skip
    shown = [[float(text) for text, _ in form.agreements] for form in forms]
    np.testing.assert_allclose(shown, 100 * np.array(matrix["values"]), atol=0.006)
    assert sum(form.usual for form in forms) == 2 + 4
    assert max(depth for form in forms for _, depth in form.agreements) == 1


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
