"""The dashboard in a real browser: of one workspace, and of ten with 2,000 lines of history each."""

from __future__ import annotations

import json
import shutil
import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.dashboard import MOST_BYTES
from benchmarks.history import FILE, HistoryLine, PredictedTime, append_history
from edgeproof.console import Console
from edgeproof.stages.showing import build_page
from edgeproof.workspace import Workspace
from evidence import page_checks
from evidence.browser import Browser
from evidence.findings import Finding, Places

WORKSPACES, LINES, OPENINGS = 10, 2_000, 5
PATIENCE_MS = 1_000.0
_ACTIONS = {
    "sort": "document.querySelector('section.workspace:not([hidden]) [data-part=results] button.sort').click()",
    "filter": "{const by = document.querySelector('section.workspace:not([hidden]) [data-by=format]'); by.selectedIndex = 1; "
    "by.dispatchEvent(new Event('change')); by.selectedIndex = 0; by.dispatchEvent(new Event('change'))}",
    "another workspace": "{const chooser = document.getElementById('switch'); chooser.value = 1; chooser.dispatchEvent(new Event('change'))}",
}


def prove(places: Places) -> list[Finding]:
    command = places.command("dashboard")
    with TemporaryDirectory(prefix="edgeproof-") as folder:
        page = build_page([_copied(places.workspaces["compact"], Path(folder) / "default")], Console(), Path(folder) / "dashboard.html")
        one = _looks(page, command)
        many = build_page(crowd(list(places.workspaces.values()), Path(folder) / "many"), Console(), Path(folder) / "many.html")
        return [*one, *_speed(many, command)]


def _copied(workspace: Workspace, folder: Path) -> Workspace:
    shutil.copytree(workspace.path, folder, ignore=shutil.ignore_patterns("*.keras", "*.h5", "figures"))
    return Workspace(folder)


def crowd(finished: Sequence[Workspace], folder: Path, count: int = WORKSPACES, lines: int = LINES) -> list[Workspace]:
    """So many copies of finished workspaces, each with so many lines of history: made up, as are their commits."""
    made = []
    for number in range(count):
        workspace = _copied(finished[number % len(finished)], folder / f"workspace-{number}")
        (workspace / FILE).unlink(missing_ok=True)
        append_history(workspace / FILE, made_up_history(workspace, lines, np.random.default_rng(number)))
        made.append(workspace)
    return made


def made_up_history(workspace: Workspace, count: int, rng: np.random.Generator) -> list[HistoryLine]:
    """Of four artifacts, measured on this machine and predicted for a board at each of many commits."""
    artifacts = json.loads((workspace / "artifacts/manifest.json").read_text())["artifacts"]
    lines: list[HistoryLine] = []
    for commit in range(-(-count // 8)):
        day, utc = divmod(commit, 24), f"2026{1 + commit // 24 // 28:02}{1 + commit // 24 % 28:02}T{commit % 24:02}0000Z"
        for name, facts in list(artifacts.items())[:4]:
            value = float(rng.uniform(20, 40)) * (1 + day[0] / 100)
            common = HistoryLine(
                1, utc, f"{commit:040x}", False, "local", "0123456789ab", name, facts["format"], facts["sha256"], facts["bytes"],
                facts["runtimes"][0], "1", "default", 1, measured_predict_p50_us=value, measured_invoke_p50_us=value - 2,
            )  # fmt: skip
            counted = replace(common, target="sim-pi4", host=None, measured_predict_p50_us=None, measured_invoke_p50_us=None)
            predicted = PredictedTime(value / 100, value / 120, value / 80)
            lines += [common, replace(counted, instructions_predict=1e4 * value, predicted_predict_ms=predicted)]
    return lines[:count]


def _looks(page: Path, command: str) -> list[Finding]:
    wrong: list[str] = []
    contrasts = []
    for width in page_checks.WIDTHS:
        for dark in (False, True):
            with page_checks.opened(page, width, dark=dark) as browser:
                wrong += [f"{width} px, {'dark' if dark else 'light'}: {problem}" for problem in _problems(browser, dark)]
                contrasts.append(page_checks.least_contrast(browser)[0])
    size = page.stat().st_size
    about = f"at {page_checks.PHONE} and {page_checks.DESKTOP:,} px, light and dark"
    return [
        Finding(
            f"the dashboard {about}: charts drawn, columns sort, filters filter, no console error, no request leaves the page, nothing sticks out",
            "nothing wrong",
            "; ".join(wrong) or "nothing wrong",
            not wrong,
            command,
        ),
        Finding(
            f"its text can be read {about}",
            f"contrast at least {page_checks.LEAST_CONTRAST:g} : 1",
            f"{min(contrasts):.2f} : 1",
            min(contrasts) >= page_checks.LEAST_CONTRAST,
            command,
        ),
        Finding("it is one file", f"at most {MOST_BYTES / 1e6:g} MB", f"{size / 1e6:.2f} MB", size <= MOST_BYTES, command),
    ]


def _problems(browser: Browser, dark: bool) -> list[str]:
    found = page_checks.unsorted(browser) + page_checks.unfiltered(browser)
    page_checks.draw_everything(browser)
    if page_checks.is_dark(browser) != dark:
        found.append("another theme")
    if excess := page_checks.sticking_out(browser):
        found.append(f"{excess} px too wide")
    return found + browser.complaints() + page_checks.requests(browser)


def _speed(page: Path, command: str) -> list[Finding]:
    """How soon the page answers, opened anew each time; medians, since other work on the machine shows in single openings."""
    ready: list[float] = []
    acted: dict[str, list[float]] = {name: [] for name in (*_ACTIONS, "history")}
    for _ in range(OPENINGS):
        with page_checks.opened(page, page_checks.DESKTOP) as browser:
            ready.append(float(browser.run("document.documentElement.dataset.ready")))
            for name, script in _ACTIONS.items():
                acted[name].append(page_checks.milliseconds_until_shown(browser, script))
            history = "document.querySelector('section.workspace:not([hidden]) [data-part=history]')"
            wait = f"while (!{history}.querySelector('svg')) await new Promise((done) => setTimeout(done, 5))"
            drawn = f"{history}.scrollIntoView({{behavior: 'instant'}}); {wait}"
            acted["history"].append(page_checks.milliseconds_until_shown(browser, drawn))
    about = f"{WORKSPACES} workspaces with {LINES:,} lines of history each, {page.stat().st_size / 1e6:.2f} MB"
    first = statistics.median(ready)
    slowest = max(statistics.median(times) for times in acted.values())
    answers = ", ".join(f"{name} {statistics.median(times):.0f} ms" for name, times in acted.items())
    return [
        Finding(
            f"{about}: interactive",
            f"within {PATIENCE_MS:.0f} ms of being asked for",
            f"{first:.0f} ms, median of {OPENINGS} openings (worst {max(ready):.0f})",
            first <= PATIENCE_MS,
            command,
        ),
        Finding(
            f"{about}: time until an action shows",
            f"each within {PATIENCE_MS:.0f} ms",
            f"{answers} (history: chart script unpacked and chart drawn)",
            slowest <= PATIENCE_MS,
            command,
        ),
    ]
