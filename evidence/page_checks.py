"""What a page must do in a real browser, whoever made it: each check returns what is wrong, nothing if nothing is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from evidence.browser import Browser

PHONE, DESKTOP = 360, 1440
WIDTHS = (PHONE, DESKTOP)
LEAST_CONTRAST = 4.5  # of text to what is behind it: WCAG 2.1, level AA

_SORTED = """(() => {
  const wrong = [];
  for (const button of document.querySelectorAll("section.workspace:not([hidden]) button.sort, #overview button.sort")) {
    const head = button.closest("th"), body = head.closest("table").tBodies[0], before = body.rows.length;
    for (const way of ["ascending", "descending"]) {
      button.click();
      const cells = [...body.rows].map((line) => line.cells[head.cellIndex]);
      const texts = cells.map((cell) => cell.textContent.trim());
      const keys = cells.map((cell, i) => texts[i] === "–" ? null : cell.dataset.key === undefined ? texts[i] : +cell.dataset.key);
      const there = keys.filter((key) => key !== null), sign = way === "ascending" ? 1 : -1;
      const order = (a, b) => sign * (typeof a === "number" ? a - b : a.localeCompare(b, "en", {numeric: true}));
      const right = there.every((key, i) => !i || order(there[i - 1], key) <= 0) && keys.slice(there.length).every((key) => key === null);
      if (!right || head.getAttribute("aria-sort") !== way || body.rows.length !== before) wrong.push(`${button.textContent}: not ${way}`);
    }
  }
  return wrong;
})()"""

_FILTERED = """(() => {
  const wrong = [], section = document.querySelector("section.workspace:not([hidden])");
  for (const select of section.querySelectorAll("[data-by]")) {
    for (const option of select.options) {
      select.value = option.value;
      select.dispatchEvent(new Event("change"));
      for (const line of section.querySelectorAll('[data-part="results"] tbody tr, [data-part="boards"] tbody tr')) {
        const matches = !option.value || (line.dataset[select.dataset.by] || "") === option.value;
        if (line.hidden === matches) wrong.push(`${select.dataset.by} ${option.value}: ${line.textContent.trim().slice(0, 40)}`);
      }
    }
    select.value = "";
    select.dispatchEvent(new Event("change"));
  }
  return wrong;
})()"""

# The lowest contrast of any visible text to the nearest opaque colour behind it.
_CONTRAST = """(() => {
  const paint = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const rgba = (colour) => {
    paint.clearRect(0, 0, 1, 1);
    paint.fillStyle = colour;
    paint.fillRect(0, 0, 1, 1);
    return paint.getImageData(0, 0, 1, 1).data;
  };
  const light = ([r, g, b]) => { const [x, y, z] = [r, g, b].map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z; };
  let least = [99, ""];
  for (const one of document.querySelectorAll("body *")) {
    if (![...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()) || !one.getClientRects().length) continue;
    if (one.closest("svg, script, style, option, .none")) continue;
    let behind = one;
    while (behind && rgba(getComputedStyle(behind).backgroundColor)[3] < 250) behind = behind.parentElement;
    const [a, b] = [light(rgba(getComputedStyle(one).color)), light(rgba(getComputedStyle(behind || document.body).backgroundColor))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < least[0]) least = [contrast, one.textContent.trim().slice(0, 30)];
  }
  return least;
})()"""


@contextmanager
def opened(page: Path, width: int, height: int | None = None, *, dark: bool = False) -> Iterator[Browser]:
    """The page in a browser of its own: a phone's or a desktop's."""
    phone = width < 500
    with (
        TemporaryDirectory(prefix="edgeproof-", ignore_cleanup_errors=True) as profile,
        Browser(Path(profile), width, height or (740 if phone else 900), touch=phone, dark=dark) as browser,
    ):
        browser.open(page.resolve().as_uri())
        browser.until(lambda: browser.run("!!document.documentElement.dataset.ready"), "the page's script")
        yield browser


def unsorted(browser: Browser) -> list[str]:
    """Columns that a press on their head does not sort, up and down."""
    return list(browser.run(_SORTED))


def unfiltered(browser: Browser) -> list[str]:
    """Rows that a filter hides or shows against what it says."""
    return list(browser.run(_FILTERED))


def draw_everything(browser: Browser) -> int:
    """Look at the whole page, with every part unfolded, until each chart is drawn; how many there are."""
    browser.run("document.querySelectorAll('section.workspace:not([hidden]) details').forEach((one) => (one.open = true))")
    everything = "document.querySelectorAll('section.workspace:not([hidden]) [data-part].chart')"
    browser.run(f"[...{everything}].forEach((one) => one.scrollIntoView())")
    for number in range(count := int(browser.run(f"{everything}.length"))):
        browser.run(f"{everything}[{number}].scrollIntoView()")
        drawn = f"!!{everything}[{number}].querySelector('svg')"
        browser.until(partial(browser.run, drawn), "a chart")
    for part in ("row", "forms", "flips"):
        browser.run(f"document.querySelector('section.workspace:not([hidden]) [data-part={part}]')?.scrollIntoView()")
    time.sleep(0.2)
    browser.run("scrollTo(0, 0)")
    return count


def sticking_out(browser: Browser) -> int:
    """By how many pixels the page is wider than its window."""
    return int(browser.run("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def least_contrast(browser: Browser) -> tuple[float, str]:
    """(contrast, text) of the text that is hardest to read."""
    contrast, text = browser.run(_CONTRAST)
    return float(contrast), str(text)


def is_dark(browser: Browser) -> bool:
    red, green, blue = (int(part) for part in browser.run("getComputedStyle(document.body).backgroundColor").strip("rgb()").split(",")[:3])
    return max(red, green, blue) < 80


def requests(browser: Browser) -> list[str]:
    """What was asked for beyond the page itself."""
    return [address for address in browser.requests() if not address.startswith(("data:", "file:"))]


def milliseconds_until_shown(browser: Browser, script: str) -> float:
    """From an action in the page to the second frame after it: one that shows what it did."""
    frames = "await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    value: Any = browser.run(f"(async () => {{ const begin = performance.now(); {script}; {frames}; return performance.now() - begin; }})()")
    return float(value)
