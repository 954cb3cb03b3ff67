"""A photo of ink on paper comes to look like the training pictures, and other pictures stay as they are."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage

from edge_runtime.components import label, main_components
from edge_runtime.errors import InputError
from edge_runtime.explain import PANEL, panels, thumbnail
from edge_runtime.ink import Ink, boxes, mass_centres, stroke_widths
from edge_runtime.metadata import ModelMetadata
from edge_runtime.photo import close_gaps, flatten, otsu
from edge_runtime.pictures import MAX_SIDE, TooLargeError, decode_steps
from edge_runtime.preprocess import Preprocessing
from edgeproof.workspace import Workspace
from evidence.phone import PERTURBATIONS, photograph
from evidence.photos import recognized
from tests.conftest import make_tiny_images
from tests.pipelines import Run
from train.datasets import load_dataset
from train.ink import measure_ink

INK = Ink(light=True, extent=0.7, centre=(0.5, 0.52), stroke=0.1)
WRITTEN = Preprocessing(24, 32, 1, ink=INK)
BLACK, PAPER = (20, 20, 25), (240, 238, 230)


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    return load_dataset("digits").images[::60]


def sheet(width: int = 500, height: int = 400, paper: Any = PAPER, ink: Any = BLACK, line: int = 30) -> Image.Image:
    """An L: down, then to the right, in the box (150, 100) to (330, 300)."""
    picture = Image.new("RGB", (width, height), paper)
    ImageDraw.Draw(picture).line([(165, 100), (165, 285), (330, 285)], fill=ink, width=line)
    return picture


def final(picture: Image.Image, contract: Preprocessing = WRITTEN, **options: Any) -> np.ndarray:
    file = io.BytesIO()
    picture.save(file, "PNG", **options)
    return decode_steps(file, "picture", contract, array=False)[-1].pixels


def alike(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


@pytest.mark.parametrize("perturbations", [(), ("gradient", "shadow"), ("colour", "noise", "grain"), ("off-centre", "exif", "blur")], ids="+".join)
def test_a_photo_of_a_training_picture_becomes_that_picture_again(digits: np.ndarray, perturbations: tuple[str, ...]) -> None:
    contract = Preprocessing(28, 28, 1, ink=measure_ink(digits))
    rng = np.random.default_rng(0)
    shares = []
    for digit in digits[:5, ..., 0]:
        photo = io.BytesIO(photograph(digit, rng, perturbations))
        steps = decode_steps(photo, "photo", contract, array=False)
        assert [step.name for step in steps] == ["upright", "grey", "paper", "flat", "ink", "alone", "fit"]
        shares.append(alike(steps[-1].pixels, digit))
    assert min(shares) > 0.75, "a pixel's width beside its place"
    assert np.median(shares) > 0.9


def test_a_model_recognizes_photos_nearly_as_well_as_the_pictures_themselves(digits_run: Run) -> None:
    (finding,) = recognized(Workspace(digits_run.workspace), {"all": PERTURBATIONS}, "", photos=60)
    photos, direct = (float(word) for word in finding.figure.replace("(", "").split() if word[0].isdigit())
    assert photos >= direct - 5, finding.figure


def test_the_digits_strokes_are_measured(digits: np.ndarray) -> None:
    ink = measure_ink(digits)
    assert ink is not None
    assert ink.light
    assert ink.extent == pytest.approx(20 / 28, abs=1e-3)
    assert ink.centre == pytest.approx((0.518, 0.518), abs=0.003)
    assert 2 < 28 * ink.stroke < 3
    assert measure_ink(255 - digits) == replace(ink, light=False)
    assert measure_ink(np.repeat(digits, 3, axis=3)) == ink, "grey in three channels"


def test_pictures_that_are_no_strokes_on_bare_paper_have_no_ink(digits: np.ndarray) -> None:
    discs = np.hypot(*np.mgrid[-1:1:28j, -1:1:28j]) < np.linspace(0.4, 0.8, 50)[:, np.newaxis, np.newaxis]
    assert measure_ink((255 * discs[..., np.newaxis]).astype(np.uint8)) is None, "things, not strokes"
    assert measure_ink(make_tiny_images(96, seed=1)) is None
    coloured = np.concatenate([digits, digits // 2, digits], axis=3)
    assert measure_ink(coloured) is None
    assert measure_ink(np.zeros((20, 8, 8, 1), np.uint8)) is None


@pytest.mark.parametrize(
    ("paper", "ink"),
    [
        (PAPER, BLACK),
        ((20, 60, 40), (230, 230, 220)),
        ((250, 250, 120), (200, 60, 60)),
        ((0, 0, 0), (255, 255, 255)),
        ((255, 255, 255), (150, 150, 255)),
    ],
    ids=["black on white", "chalk on a board", "red on yellow", "white on black", "pale blue"],
)
def test_ink_of_any_colour_becomes_the_training_pictures_ink(paper: Any, ink: Any) -> None:
    pixels = final(sheet(paper=paper, ink=ink))[..., 0]
    top, bottom, left, right = boxes(pixels[np.newaxis] > 128)[0]
    assert (bottom - top, right - left) == (17, 15), "its longest side is 0.7 of 24 pixels, its proportions are kept"
    assert mass_centres(pixels[np.newaxis].astype(float))[0] == pytest.approx((0.5 * 24, 0.52 * 32), abs=0.6)
    assert pixels.max() > 240
    assert np.median(pixels) == 0
    dark = replace(WRITTEN, ink=replace(INK, light=False))
    np.testing.assert_array_equal(final(sheet(paper=paper, ink=ink), dark)[..., 0], 255 - pixels)


def test_thin_strokes_are_widened_to_those_of_training() -> None:
    widths = [float(stroke_widths(final(sheet(line=line))[np.newaxis, ..., 0] / 255)[0]) for line in (4, 8, 26)]
    assert widths == pytest.approx([2.1, 2.1, 2.1], abs=0.4)
    free = replace(WRITTEN, ink=replace(INK, stroke=0.0))
    assert float(stroke_widths(final(sheet(line=4), free)[np.newaxis, ..., 0] / 255)[0]) < 1.2


def test_specks_and_what_runs_into_the_border_are_left_out() -> None:
    plain, dirty = sheet(), sheet()
    draw = ImageDraw.Draw(dirty)
    draw.rectangle((0, 0, 60, 400), fill=(90, 60, 40))  # the table
    for x, y in ((400, 60), (120, 350), (430, 350)):
        draw.ellipse((x, y, x + 8, y + 8), fill=BLACK)
    assert alike(final(dirty), final(plain)) > 0.98
    far = Image.new("RGB", (3000, 2000), PAPER)
    far.paste(plain.crop((100, 50, 380, 350)), (900, 900))
    ImageDraw.Draw(far).rectangle((2500, 0, 3000, 2000), fill=(90, 60, 40))
    assert alike(final(far), final(plain)) > 0.7, "much more table than ink"


def test_parts_of_one_sign_stay_together_and_ink_at_the_border_counts_if_there_is_no_other() -> None:
    two = np.zeros((200, 200), bool)
    two[20:60, 90:110] = two[80:180, 90:110] = True  # the letter i
    np.testing.assert_array_equal(main_components(two, two.astype(float)) & two, two)
    edge = np.zeros((200, 200), bool)
    edge[0:150, 90:110] = True
    assert (main_components(edge, edge.astype(float)) & edge).sum() == edge.sum()


def test_the_camera_is_held_as_exif_says() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = sheet().transpose(Image.Transpose.ROTATE_90)
    np.testing.assert_allclose(final(turned, exif=exif).astype(int), final(sheet()), atol=2)
    colour = Preprocessing(8, 10, 3)
    assert alike(final(turned, colour, exif=exif), final(sheet(), colour)) > 0.999


def test_a_picture_of_the_models_own_size_is_left_as_it_is() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (24, 32), np.uint8)
    np.testing.assert_array_equal(final(Image.fromarray(noise))[..., 0], noise)
    file = io.BytesIO()
    np.save(file, noise)
    file.seek(0)
    (step,) = decode_steps(file, "array", WRITTEN, array=True)
    np.testing.assert_array_equal(step.pixels[..., 0], noise)


def test_a_model_without_ink_resizes_and_nothing_else() -> None:
    plain = Preprocessing(24, 32, 3)
    np.testing.assert_array_equal(final(sheet(), plain), np.asarray(sheet().resize((32, 24), Image.Resampling.BILINEAR)))


def test_ink_in_a_model_of_three_channels_is_grey() -> None:
    pixels = final(sheet(), replace(WRITTEN, channels=3))
    np.testing.assert_array_equal(pixels, np.repeat(final(sheet()), 3, axis=2))


@pytest.mark.parametrize("noise", [0, 3])
def test_bare_paper_is_an_error_that_says_so(noise: int) -> None:
    pixels = 230 + np.random.default_rng(0).normal(0, noise, (300, 300))
    with pytest.raises(InputError, match="Nothing is to be seen"):
        final(Image.fromarray(pixels.astype(np.uint8)))


@pytest.mark.parametrize("colours", [(), (3,)], ids=["grey", "colour"])
@pytest.mark.parametrize(("low", "high"), [(0, 0), (0, 5), (250, 255), (255, 255)], ids=["black", "dark noise", "light noise", "white"])
@pytest.mark.parametrize("size", [(300, 300), (900, 1200)], ids=str)
def test_a_lens_cap_is_no_sign_either(size: tuple[int, int], low: int, high: int, colours: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(low, high + 1, (*size, *colours), np.uint8)
    with pytest.raises(InputError, match="Nothing is to be seen"):
        final(Image.fromarray(pixels))


def test_ink_on_paper_in_the_dark_is_still_read() -> None:
    assert alike(final(sheet(paper=(30, 30, 28), ink=(6, 6, 6))), final(sheet())) > 0.98


@pytest.mark.parametrize("size", [(1, 900), (900, 1), (33, 24)])
def test_pictures_of_odd_sizes_end_in_an_answer(size: tuple[int, int]) -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, size[::-1], np.uint8))
    assert final(picture).shape == (24, 32, 1)


def test_closing_is_what_others_call_closing() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 57), np.uint8)
    for window in (1, 4, 9, 21):
        size = 2 * (window // 2) + 1
        expected = ndimage.minimum_filter(ndimage.maximum_filter(pixels, size, mode="nearest"), size, mode="nearest")
        np.testing.assert_array_equal(close_gaps(pixels, window), expected)


def test_a_shadows_edge_is_no_ink() -> None:
    picture = np.asarray(sheet().convert("L")).astype(float)
    picture[:, 250:] *= 0.5
    shaded = picture.astype(np.uint8)
    darkness, _, dark = flatten(shaded)
    assert dark
    assert (darkness[:80] > 0.15).mean() < 0.01, "the edge itself, a few pixels wide"
    assert alike(final(Image.fromarray(shaded)), final(sheet())) > 0.95
    assert darkness[200, 165] > 0.8
    assert darkness[285, 300] > 0.8


def test_otsu_parts_two_heaps() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(0.1, 0.03, 9000), rng.normal(0.7, 0.05, 500)])
    assert 0.2 < otsu(values) < 0.6


@pytest.mark.parametrize("share", [0.0, 0.2, 0.4, 0.6, 1.0])
def test_parts_are_those_that_scipy_finds(share: float) -> None:
    mask = np.random.default_rng(0).random((60, 70)) < share
    ours, (theirs, count) = label(mask), ndimage.label(mask, np.ones((3, 3)))
    assert ours.max() == count
    assert len(set(zip(ours.ravel(), theirs.ravel(), strict=True))) == len(np.unique(theirs))


def test_a_stroke_is_as_wide_as_it_was_drawn() -> None:
    bars = np.zeros((2, 60, 60))
    bars[0, 10:50, 28:33] = bars[1, 5:55, 20:28] = 1
    assert stroke_widths(bars) == pytest.approx([5, 8], rel=0.2)


def test_a_contract_with_ink_survives_the_model_file_and_one_without_reads_as_before() -> None:
    for contract in (WRITTEN, replace(WRITTEN, ink=None)):
        metadata = ModelMetadata("a", "b", ("c", "d"), contract)
        assert ModelMetadata.from_json(metadata.to_json()) == metadata
    assert "ink" not in replace(WRITTEN, ink=None).to_dict(), "as older files have it"
    assert hash(Preprocessing.from_dict(WRITTEN.to_dict())) == hash(WRITTEN)


def test_how_to_read_a_photo_can_be_said_and_is_checked() -> None:
    plain = Preprocessing(24, 32, 1)
    assert plain.reading("auto") == plain
    assert plain.reading("light-ink").ink == Ink(light=True)
    assert WRITTEN.reading("fit").ink is None
    with pytest.raises(InputError, match="Did you mean 'dark-ink'"):
        plain.reading("darkink")


def test_a_large_picture_from_the_network_is_refused_by_its_header() -> None:
    file = io.BytesIO()
    Image.new("1", (MAX_SIDE + 1, 8)).save(file, "PNG")
    assert decode_steps(io.BytesIO(file.getvalue()), "body", Preprocessing(8, 8, 1), array=False)
    with pytest.raises(TooLargeError, match="4097×8"):
        decode_steps(io.BytesIO(file.getvalue()[:60]), "body", WRITTEN, array=False, foreign=True)  # nothing but the header is there
    bitmap = io.BytesIO()
    sheet().save(bitmap, "BMP")
    with pytest.raises(InputError, match="Cannot read body"):
        decode_steps(bitmap, "body", WRITTEN, array=False, foreign=True)


def test_the_panels_show_every_step(tmp_path: Path) -> None:
    sheet().save(tmp_path / "photo.png")
    steps = WRITTEN.load_steps(tmp_path / "photo.png")
    drawn = panels(steps, "photo.png: L")
    assert drawn.width > 4 * PANEL
    assert drawn.height > 2 * PANEL, "seven steps are two rows"
    seen = thumbnail(steps[-1].pixels)
    assert seen.size == (PANEL, 180)
    assert len(np.unique(np.asarray(seen)[:7, :7])) == 1, "a pixel of the model's is a square that can be seen"
