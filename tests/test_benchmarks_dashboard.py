"""The dashboard: one file, no network, drawn without a complaint by a real browser."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.pipelines import Run

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--enable-logging=stderr", "--virtual-time-budget=5000",
)  # fmt: skip


@pytest.fixture(scope="module")
def page(digits_run: Run) -> Path:
    return digits_run.workspace / "dashboard.html"


def _browse(page: Path, profile: Path, width: int, *flags: str) -> subprocess.CompletedProcess[str]:
    if CHROMIUM is None:
        pytest.skip("no chromium on PATH: apt install chromium")
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", f"--window-size={width},2000", *flags, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_it_is_one_small_file_that_asks_for_nothing(page: Path) -> None:
    text = page.read_text()
    assert len(text) <= 3_000_000
    markup = re.sub(r"<script>.*?</script>", "", text, flags=re.S)
    references = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"')\s>]+)""", markup)
    assert [reference for reference in references if not reference.startswith("data:")] == []


def test_it_shows_verdict_table_chart_flips_and_lineage(page: Path, digits_run: Run) -> None:
    text = page.read_text()
    parity = digits_run.json("parity.json")
    assert "Ship compact-tflite-int8.tflite" in text
    assert text.count('class="verdict PASS"') >= len(parity["rows"])
    assert text.count('class="card flip"') > 0
    assert digits_run.json("training.json")["baseline_sha256"][:16] in text


@pytest.mark.parametrize("width", [360, 1440])
def test_a_browser_draws_it_without_error_or_request(page: Path, tmp_path: Path, width: int) -> None:
    done = _browse(page, tmp_path / "profile", width, "--dump-dom")
    complaints = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert complaints == []
    chart = done.stdout[done.stdout.index('id="chart"') :]
    assert "<svg" in chart[:5000], "the scatter plot is drawn"


def test_it_does_not_scroll_sideways_on_a_phone(page: Path, tmp_path: Path) -> None:
    probe = tmp_path / "probe.html"
    measure = "document.title = document.documentElement.scrollWidth + ' of ' + innerWidth"
    before, after = page.read_text().rsplit("</body>", 1)  # the last one: the chart's script holds others
    probe.write_text(f"{before}<script>setTimeout(() => {{ {measure} }}, 2500)</script></body>{after}")  # once the chart has settled
    done = _browse(probe, tmp_path / "profile", 500, "--dump-dom")  # 500 px: the narrowest window headless Chromium makes
    title = re.search(r"<title>(\d+) of (\d+)</title>", done.stdout)
    assert title is not None
    assert int(title[1]) <= int(title[2])
