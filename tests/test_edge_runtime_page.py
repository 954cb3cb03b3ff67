"""The page in a real browser: what is drawn is recognized, on a phone too, and nothing leaves the page."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgeproof.workspace import Workspace
from evidence.browser import CHROMIUM, Browser, Point
from evidence.phone import photograph
from tests.pipelines import Run
from tests.serving import Server, command, serving

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH: apt install chromium")
ASKED = "!asking && !changed && !document.getElementById('way').hidden"


def arc(x: float, y: float, across: float, down: float, begin: float, end: float) -> list[Point]:
    angles = np.radians(np.linspace(begin, end, 16))
    return [(x + across * math.cos(angle), y + down * math.sin(angle)) for angle in angles]


def line(*corners: Point) -> list[Point]:
    points = np.concatenate([np.linspace(one, other, 8) for one, other in zip(corners, corners[1:], strict=False)])
    return [(float(x), float(y)) for x, y in points]


# Strokes in shares of the paper, from its upper left corner.
DRAWN = {
    "0": [arc(0.5, 0.5, 0.2, 0.3, -90, 270)],
    "1": [line((0.5, 0.2), (0.5, 0.8))],
    "2": [arc(0.5, 0.36, 0.18, 0.15, -170, 40) + line((0.63, 0.46), (0.33, 0.78), (0.7, 0.78))],
    "3": [arc(0.47, 0.34, 0.17, 0.14, -150, 90) + arc(0.47, 0.64, 0.2, 0.16, -90, 150)],
    "4": [line((0.38, 0.2), (0.32, 0.52), (0.68, 0.52)), line((0.62, 0.3), (0.6, 0.8))],
    "7": [line((0.3, 0.22), (0.7, 0.22), (0.45, 0.8))],
}


@pytest.fixture(scope="module")
def digits_server(digits_run: Run) -> Iterator[Server]:
    with serving(command(digits_run.workspace / "artifacts/compact-tflite-int8.tflite", "--port", "0")) as running:
        yield running


@pytest.fixture(params=[(1200, 900, False), (360, 740, True)], ids=["desktop", "phone"])
def browser(request: pytest.FixtureRequest, digits_server: Server, tmp_path: Path) -> Iterator[Browser]:
    width, height, phone = request.param
    with Browser(tmp_path / "profile", width, height, touch=phone, dark=phone) as opened:
        opened.open(digits_server.address)
        opened.until(lambda: opened.run("document.querySelectorAll('#bars li').length") == 10, "ten bars")
        yield opened
        assert opened.complaints() == []
        assert {address for address in opened.requests() if not address.startswith(("data:", digits_server.address))} == set()


def draw(browser: Browser, digit: str) -> None:
    phone = browser.run("navigator.maxTouchPoints") > 0
    browser.run("document.getElementById('clear').click()")
    for stroke in DRAWN[digit]:
        (browser.swipe if phone else browser.drag)(browser.points_on("#paper", stroke))
    browser.until(lambda: browser.run(ASKED), "an answer")


def test_drawn_digits_are_recognized(browser: Browser) -> None:
    for digit in DRAWN:
        draw(browser, digit)
        assert browser.text("#answer") == digit
        assert browser.text("#bars .best .name") == digit
    shares = browser.run("[...document.querySelectorAll('#bars .share')].map(cell => parseFloat(cell.textContent))")
    assert sum(shares) == pytest.approx(100, abs=1)
    assert browser.text("#times").count(" ms") == 3
    assert [name.split(". ")[1] for name in browser.run("[...document.querySelectorAll('#steps b')].map(cell => cell.textContent)")] == [
        "upright", "grey", "paper", "flat", "ink", "alone", "fit",
    ]  # fmt: skip
    assert browser.run("[...document.querySelectorAll('#steps img')].every(image => image.naturalWidth > 100)")
    browser.run("document.getElementById('clear').click()")
    assert browser.text("#answer") == "–"
    assert browser.run("document.getElementById('way').hidden")


def test_the_answer_is_there_while_one_draws(browser: Browser) -> None:
    points = browser.points_on("#paper", DRAWN["1"][0])
    (browser.swipe if browser.run("navigator.maxTouchPoints") > 0 else browser.drag)(points, lift=False)
    browser.until(lambda: browser.run("!asking && !changed") and browser.text("#answer") != "–", "an answer")
    assert browser.text("#answer") == "1"


def test_nothing_sticks_out_of_the_window_and_the_scheme_is_followed(browser: Browser) -> None:
    draw(browser, "3")
    assert browser.run("document.documentElement.scrollWidth <= innerWidth")
    dark = browser.run("matchMedia('(prefers-color-scheme: dark)').matches")
    red, green, blue = (int(part) for part in browser.run("getComputedStyle(document.body).backgroundColor").strip("rgb()").split(","))
    assert (max(red, green, blue) < 80) == dark
    assert browser.run("[...document.querySelectorAll('button, .file')].every(part => part.getBoundingClientRect().height >= 44)"), "for fingers"


def test_a_photo_is_shown_with_its_steps_even_if_it_is_larger_than_the_server_takes(browser: Browser, digits_run: Run, tmp_path: Path) -> None:
    validation = Workspace(digits_run.workspace).read_arrays("validation.npz")
    index = int(np.flatnonzero(validation["baseline_probabilities"].max(axis=1) > 0.999)[0])
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(photograph(validation["images"][index, ..., 0], np.random.default_rng(0)))
    large = tmp_path / "large.png"
    with Image.open(photo) as picture:
        noisy = np.asarray(picture.resize((1300, 1300))).astype(int) + np.random.default_rng(0).integers(-9, 9, (1300, 1300, 3))
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(large, exif=picture.getexif())
    assert large.stat().st_size > 1_000_000
    for path in (photo, large):
        browser.run("document.getElementById('clear').click()")
        browser.choose_file("#photo", path)
        browser.until(lambda: browser.run(ASKED), "an answer")
        assert browser.text("#answer") == str(validation["labels"][index])
    (tmp_path / "none.png").write_bytes(b"no picture")
    browser.choose_file("#photo", tmp_path / "none.png")
    browser.until(lambda: "no picture" in browser.text("#message"), "a word about the file")


def test_the_keyboard_is_enough(browser: Browser) -> None:
    browser.run("document.body.focus()")
    reached = []
    for _ in range(5):
        browser.press("Tab")
        reached.append(browser.run("document.activeElement.id"))
    assert {"paper", "clear", "undo", "photo"} <= set(reached)
    browser.run("document.getElementById('paper').focus()")
    for _ in range(4):
        browser.press("ArrowUp")
    browser.press(" ", " ")
    for _ in range(20):
        browser.press("ArrowDown")
    browser.press(" ", " ")
    browser.until(lambda: browser.run(ASKED), "an answer")
    assert browser.text("#answer") == "1"
    browser.press("Escape")
    assert browser.text("#answer") == "–"


def test_another_models_classes_are_shown_as_they_are_called(tiny_artifacts: dict[str, Path], tmp_path: Path) -> None:
    from edge_runtime.metadata import read_tflite_metadata
    from export.embed import embed_tflite

    model = tiny_artifacts["tflite-int8"].read_bytes()
    metadata = read_tflite_metadata(model)
    assert metadata is not None
    strange = ("<b>bold</b>", "with a name that is much longer than the page is wide, and then some more", "ß")
    path = tmp_path / "strange.tflite"
    path.write_bytes(embed_tflite(model[: model.rindex(b"PK\x03\x04")], replace(metadata, class_names=strange)))
    with serving(command(path, "--port", "0")) as server, Browser(tmp_path / "profile", 360, 740) as browser:
        browser.open(server.address)
        browser.until(lambda: browser.run("document.querySelectorAll('#bars li').length") == 3, "three bars")
        browser.drag(browser.points_on("#paper", DRAWN["1"][0]))
        browser.until(lambda: browser.run(ASKED), "an answer")
        assert tuple(browser.run("[...document.querySelectorAll('#bars .name')].map(cell => cell.textContent)")) == strange
        assert browser.text("#answer") in strange
        assert browser.run("document.documentElement.scrollWidth <= innerWidth")
        server.process.kill()
        server.process.wait()
        browser.drag(browser.points_on("#paper", DRAWN["1"][0]))
        browser.until(lambda: "does not answer" in browser.text("#message"), "a word about the server")
