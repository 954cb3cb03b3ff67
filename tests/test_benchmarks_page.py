"""The dashboard of a workspace with something of everything, in a real browser: phone and desktop, light and dark."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from evidence import page_checks
from evidence.browser import CHROMIUM, Browser
from tests.pipelines import run
from tests.showing import FAILED, THROTTLED

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH: apt install chromium")
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def page(shown: Path) -> Path:
    done = run("dashboard", "-w", "w", cwd=shown.parent)
    assert done.code == 0, done.stderr
    return shown / "dashboard.html"


@pytest.fixture(scope="module")
def two(shown: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of two workspaces, the second without any measurement, the first named twice."""
    folder = tmp_path_factory.mktemp("two")
    for name in ("full", "bare"):
        shutil.copytree(shown, folder / name)
    for name in ("latency", "peers"):
        shutil.rmtree(folder / "bare" / name)
    done = run("dashboard", "-w", "full", "bare", "full", "--json", cwd=folder)
    assert done.code == 0, done.stderr
    assert json.loads(done.stdout) == {"dashboard": "dashboard.html"}
    return folder / "dashboard.html"


@pytest.fixture(params=[(360, False), (360, True), (1440, False), (1440, True)], ids=["phone", "phone-dark", "desktop", "desktop-dark"])
def browser(request: pytest.FixtureRequest, page: Path) -> Iterator[Browser]:
    width, dark = request.param
    with page_checks.opened(page, width, dark=dark) as browser:
        yield browser


def _cells(text: str, part: str) -> list[dict[str, str]]:
    """The lines of a table that the page has from the start: text by column."""
    table = re.search(rf'<table[^>]*data-part="{part}".*?</table>', text, flags=re.S)
    assert table is not None, part
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, flags=re.S) for row in re.findall(r"<tr.*?</tr>", table[0], flags=re.S)]
    plain = [[re.sub(r"<.*?>", "", cell).replace("\u00a0", " ").strip() for cell in row] for row in rows]
    return [dict(zip(plain[0], row, strict=True)) for row in plain[1:]]


def test_it_is_one_small_file_that_asks_for_nothing(page: Path, two: Path) -> None:
    for path in (page, two):
        text = path.read_text()
        assert len(text.encode()) <= 3_000_000
        markup = re.sub(r"<script.*?</script>", "", text, flags=re.S)
        found = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"')\s>]+)""", markup)
        assert [reference for reference in found if not reference.startswith(("data:", "#"))] == []


@needs_browser
def test_a_browser_draws_all_of_it_without_error_or_request_and_within_its_window(browser: Browser) -> None:
    assert page_checks.sticking_out(browser) == 0
    assert page_checks.draw_everything(browser) == 3, "scatter, distributions, history"
    assert page_checks.sticking_out(browser) == 0
    assert browser.complaints() == []
    assert page_checks.requests(browser) == []


@needs_browser
def test_both_themes_can_be_read_and_be_chosen(browser: Browser) -> None:
    assert page_checks.is_dark(browser) == browser.run("matchMedia('(prefers-color-scheme: dark)').matches")
    page_checks.draw_everything(browser)
    for theme, dark in (("light", False), ("dark", True)):
        browser.run("document.getElementById('theme').click()")
        assert browser.text("#theme") == f"Theme: {theme}"
        assert page_checks.is_dark(browser) == dark
        contrast, text = page_checks.least_contrast(browser)
        assert contrast >= page_checks.LEAST_CONTRAST, f"{theme}: {text}"


@needs_browser
def test_every_column_sorts_and_every_filter_hides_what_it_says(browser: Browser) -> None:
    assert page_checks.unsorted(browser) == []
    assert page_checks.unfiltered(browser) == []


@needs_browser
def test_a_sort_and_a_filter_gone_wrong_would_be_found(page: Path) -> None:
    with page_checks.opened(page, 1440) as browser:
        browser.run("document.querySelector('[data-part=results] tbody').append = () => {}")
        assert page_checks.unsorted(browser)
        show_all = "() => document.querySelectorAll('tr').forEach((one) => (one.hidden = false))"
        browser.run(f"document.querySelector('[data-by=format]').addEventListener('change', {show_all})")
        assert page_checks.unfiltered(browser)


@needs_browser
def test_filters_reach_the_charts(page: Path) -> None:
    with page_checks.opened(page, 1440) as browser:
        page_checks.draw_everything(browser)
        browser.run('{const by = document.querySelector("[data-by=target]"); by.value = "sim-pi4"; by.dispatchEvent(new Event("change"))}')
        browser.until(lambda: "predicted" in browser.text('[data-part="scatter"]'), "the board's chart")
        title = browser.run("""[...document.querySelectorAll('[data-part="scatter"] text')].map((one) => one.textContent).join(" ")""")
        assert "predicted time, ms, on Raspberry Pi 4, simulated: not measured" in title
        browser.run('{const by = document.querySelector("[data-by=format]"); by.value = "tflite-int8"; by.dispatchEvent(new Event("change"))}')
        rows = "document.querySelectorAll('[data-part=\"scatter-table\"] tbody tr').length"
        browser.until(lambda: browser.run(rows) == 2, "the int8 file on its two runtimes")
        assert browser.complaints() == []


@needs_browser
def test_the_keyboard_reaches_every_number_and_what_it_is(page: Path) -> None:
    with page_checks.opened(page, 1440) as browser:
        browser.run("document.querySelector('[data-part=results] button.sort').focus()")
        browser.press("Enter", "\r")
        assert browser.run("document.querySelector('[data-part=results] th').getAttribute('aria-sort')") == "ascending"
        browser.run("document.querySelector('[data-part=results]').closest('.scroll').focus()")
        for key in ("ArrowDown", *["ArrowRight"] * 3):
            browser.press(key)
        assert browser.run("document.activeElement.textContent").endswith(" %")
        assert browser.run("getComputedStyle(document.activeElement).outlineStyle") == "solid", "one sees where one is"
        assert browser.run("document.activeElement.getAttribute('aria-describedby')") == "tip"
        words = browser.text("#tip")
        assert "of 96 images; 95 % interval" in words
        assert "answered right" in words
        browser.press("Escape")
        assert browser.run("document.getElementById('tip').hidden")
        silent = """[...document.querySelectorAll("section.workspace td.number")].filter((cell) => {
          const head = cell.closest("table").tHead.rows[0].cells[cell.cellIndex];
          return /\\d/.test(cell.textContent) && !cell.dataset.tip && !head.dataset.about;
        }).map((cell) => cell.closest(".scroll").getAttribute("aria-label") + ": " + cell.textContent)"""
        assert browser.run(silent) == [], "every number says what it is"


def test_the_first_answer_is_which_file_to_ship_to_each_target(page: Path) -> None:
    text = page.read_text()
    first = text.index("<h1>Ship ")
    assert first < text.index("Without edgeproof") < text.index("Every artifact on every runtime")
    here, there, throttled = (next(line for line in _cells(text, "advice") if line["target"] == target) for target in (
        "This machine", "Raspberry Pi 4, simulated", "ssh://pi@pi4"
    ))  # fmt: skip
    assert here["ship"] != "–"
    assert here["measured, median"].endswith("µs")
    assert here["predicted (interval)"] == "–"
    assert re.fullmatch(r"predicted [\d.]+ ms \([\d.]+ to [\d.]+\)", there["predicted (interval)"])
    assert there["measured, median"] == "–"
    assert throttled["ship"] == "–", "an INVALID session chooses nothing"
    assert THROTTLED in throttled["why"]
    assert all("damaged" not in line["ship"] for line in _cells(text, "advice"))


@needs_browser
def test_measured_and_predicted_times_share_no_column(page: Path) -> None:
    tables = ("advice", "results", "boards", "peers", "distributions-table")
    with page_checks.opened(page, 1440) as browser:
        browser.run("document.querySelector('details.costs').open = true")
        browser.until(lambda: browser.run("!!document.querySelector('details.costs table')"), "the layers")
        heads, *rows = browser.run("[...document.querySelector('.costs table').rows].map((row) => [...row.cells].map((cell) => cell.textContent))")
    lines = [line for part in tables for line in _cells(page.read_text(), part)] + [dict(zip(heads, row, strict=True)) for row in rows]
    predicted = [(column, cell) for line in lines for column, cell in line.items() if "predicted" in column and cell != "–"]
    scopes, parts = 2 * (3 * 2 + 1), 5  # three TFLite files on two runtimes and an ONNX file; one operator, and what is none
    assert len(predicted) == 1 + scopes + parts
    assert all(re.fullmatch(r"predicted -?[\d.]+ [mµ]s \(-?[\d.]+ to -?[\d.]+\)", cell) for _, cell in predicted)
    assert not [cell for line in lines for column, cell in line.items() if "predicted" not in column and "predicted" in cell and column != "why"]


def test_what_failed_and_what_is_not_to_be_trusted_is_shown_with_its_reason(page: Path) -> None:
    text = page.read_text()
    results = _cells(text, "results")
    assert [line["verdict"] for line in results if "damaged" in line["format"]] == ["FAIL", "FAIL"]
    assert [line["verdict"] for line in results if line["format"] == "tflite-mixed"] == ["not exported"]
    assert FAILED.replace("<", "&lt;").replace(">", "&gt;") in text
    assert f"is not to be trusted: {THROTTLED}" in text
    assert [line["verdict"] for line in _cells(text, "peers")] == ["FAIL", "not made"]


def test_instructions_do_not_rank(page: Path) -> None:
    (table,) = re.findall(r'<table[^>]*data-part="boards".*?</thead>', page.read_text(), flags=re.S)
    heads = {re.sub(r"<.*?>", "", head).strip(): "<button" in head for head in re.findall(r"<th .*?</th>", table, flags=re.S)}
    assert {name: sorts for name, sorts in heads.items() if "instructions" in name} == {
        "instructions": False,
        "instructions, interpreter alone": False,
    }
    assert heads["predicted (interval)"]


@needs_browser
def test_of_several_workspaces_one_is_shown_and_all_are_listed(two: Path) -> None:
    with page_checks.opened(two, 1440) as browser:
        shown = '[...document.querySelectorAll("section.workspace")].map((one) => !one.hidden)'
        assert browser.run(shown) == [True, False]
        browser.run("document.querySelectorAll('#overview button.link')[1].click()")
        assert browser.run(shown) == [False, True]
        assert browser.run("document.getElementById('switch').value") == "1"
        assert browser.run("document.querySelector('section.workspace:not([hidden])').textContent").count("Not measured yet") == 1
        browser.run("{const chooser = document.getElementById('switch'); chooser.value = 0; chooser.dispatchEvent(new Event('change'))}")
        assert browser.run(shown) == [True, False]
        page_checks.draw_everything(browser)
        assert browser.complaints() == []


def test_damaged_foreign_and_newer_files_are_named_and_skipped(shown: Path, tmp_path: Path) -> None:
    shutil.copytree(shown, tmp_path / "w")
    latency = tmp_path / "w/latency"
    (latency / "local-20990101T000000Z.json").write_text("{")
    (latency / "sim-pi4-20990101T000000Z.json").write_text('{"kind": "instructions", "schema": 99, "rows": []}')
    (latency / "local-layers-20990101T000000Z.json").write_text("[]")
    (latency / "history.jsonl").write_text("no line\n")
    (latency / "sim-pi4-layers-20990101T000000Z.json").write_text('{"kind": "layers", "schema": 99}')
    (tmp_path / "w/peers/peers.json").write_text('{"schema": 99}')
    done = run("dashboard", "-w", "w", cwd=tmp_path)
    assert done.code == 0, done.stderr
    left_out = [line for line in done.stderr.splitlines() if line.startswith("left out: ")]
    assert len(left_out) == 6
    for name in ("local-20990101", "sim-pi4-20990101", "local-layers", "sim-pi4-layers", "history.jsonl", "peers.json"):
        assert sum(name in line for line in left_out) == 1
    assert _cells((tmp_path / "w/dashboard.html").read_text(), "boards"), "the older counts are still there"


def test_the_command_lists_its_workspaces_once_and_says_what_is_missing(two: Path) -> None:
    lines = _cells(two.read_text(), "overview")
    assert [line["workspace"] for line in lines] == ["full", "bare"]
    assert lines[0]["ship"] == lines[1]["ship"] != "–"
    assert [line["measured, median"] == "–" for line in lines] == [False, True]
    for arguments, words in ((("full", "none"), "none/parity.json does not exist yet"), (("full", "--out", "bare"), "it is a folder")):
        wrong = run("dashboard", *arguments, cwd=two.parent)
        assert (wrong.code, wrong.stderr.count("error: ")) == (2, 1)
        assert words in wrong.stderr
        assert "Traceback" not in wrong.stderr


@needs_browser
def test_readmes_picture_is_what_the_page_shows_of_the_reference_run(tmp_path: Path) -> None:
    from evidence.picture import PICTURE, take_picture, words_of

    words = take_picture(tmp_path / "picture.png")
    assert "Ship compact-tflite-int8.tflite" in words
    assert "NNCF" in words
    assert words_of(ROOT / PICTURE) == words, "make reference ONLY=readme"
    for path in (tmp_path / "picture.png", ROOT / PICTURE):
        with Image.open(path) as picture:
            assert picture.size == (1440, 1080)
            colours = picture.convert("RGB").getcolors(1 << 20)
        assert colours is not None
        assert len(colours) > 50, "something is drawn"
        assert path.stat().st_size < 400_000


def _job(name: str) -> str:
    """The lines of one job of the workflow."""
    text = (ROOT / ".github/workflows/dashboard.yml").read_text()
    found = re.search(rf"^  {name}:\n(.*?)(?=^  \w|\Z)", text, flags=re.M | re.S)
    assert found is not None
    return found[1]


def test_the_workflow_publishes_what_its_script_makes_with_no_more_rights_than_that_takes(shown: Path, tmp_path: Path) -> None:
    before = (ROOT / ".github/workflows/dashboard.yml").read_text().split("jobs:")[0]
    assert re.search(r"^permissions:\n  contents: read\n\n", before, flags=re.M)
    build, deploy = _job("build"), _job("deploy")
    assert "permissions" not in build
    assert re.search(r"^    permissions:\n      pages: write\n      id-token: write\n    \w", deploy, flags=re.M)
    assert "needs: build" in deploy
    assert "uses: actions/deploy-pages@" in deploy
    uploaded = re.search(r"uses: actions/upload-pages-artifact@v\d+\n        with:\n          path: (\S+)\n", build)
    step = re.search(r"run: (\.github/\S+)\n        env:\n((?:          \w+: \S+\n)+)", build)
    assert uploaded is not None
    assert step is not None
    shutil.copytree(shown, tmp_path / "runs/default")
    given = dict(line.strip().split(": ") for line in step[2].splitlines())
    here = {"EDGEPROOF": f"{sys.executable} -P -m edgeproof", "BOARDS": ""}
    done = subprocess.run([ROOT / step[1]], cwd=tmp_path, capture_output=True, text=True, env={**os.environ, **given, **here})
    assert done.returncode == 0, done.stderr
    assert "<h1>Ship " in (tmp_path / uploaded[1] / "index.html").read_text()
