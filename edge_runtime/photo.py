"""A photo of a stroke on paper, brought to how strokes stand in the training pictures: whatever its size, light, colour and place.

grey    the colour channel in which ink and paper differ most
flat    divided by the paper's own brightness, with everything narrow closed over: gradients and shadows go
ink     0 = paper .. 1 = ink by a threshold found in the picture (Otsu's), with the grey of the edges kept
alone   specks, and what runs into the picture's border (a table's edge, a shadow), left out
fit     the box around the ink resized to the training pictures' extent, strokes widened if thinner, the centre of mass where theirs is

numpy and Pillow only. Each step is kept, to be shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_runtime.components import main_components
from edge_runtime.errors import InputError
from edge_runtime.ink import Ink, boxes, mass_centres, stroke_widths
from edge_runtime.pictures import Step

if TYPE_CHECKING:
    from PIL.Image import Image

PAPER_WINDOW = 0.25  # of the picture's longest side: what is narrower may be a stroke, what is wider is paper or shadow
SMALL = 32  # longest side of the picture in which dark ink is told from light
CLEARER = 1.5  # times the contrast of the brightness, for a colour to be used instead
LEAST_PAPER = 48  # of 255: on a darker one differences count as on this, or the camera's noise would be ink
LEAST_CONTRAST = 0.1  # of the paper's brightness: what differs less is the paper's own grain
FULL_INK = 0.75  # quantile of the pixels over the threshold that counts as full ink


def working_side(shape: tuple[int, int, int]) -> int:
    """The longest side that a photo needs to have: detail beyond it is lost in the model's own size anyway."""
    return max(400, 4 * max(shape[:2]))


def ink_steps(picture: Image, ink: Ink, shape: tuple[int, int, int]) -> list[Step]:
    """An upright L or RGB picture to the steps that end with uint8 [H, W, C] in the training pictures' form.

    InputError when there is nothing on the paper.
    """
    grey, channel = _clearest_channel(picture)
    darkness, paper, dark = flatten(grey)
    threshold = find_threshold(darkness)
    amount, sure = ink_amount(darkness, threshold), darkness > threshold
    belongs = main_components(sure, amount)
    alone = amount * belongs
    final, about = _place(alone, sure & belongs, ink, shape)
    return [
        Step("grey", f"{channel}, in which ink and paper differ most", grey),
        Step("paper", "the paper's own brightness", paper),
        Step("flat", f"{'dark' if dark else 'light'} ink; divided by the paper", _as_paper(darkness)),
        Step("ink", f"threshold {threshold:.0%} of the paper, grey edges kept", _as_paper(amount)),
        Step("alone", "specks and what runs into the border left out", _as_paper(alone)),
        Step("fit", about, np.repeat(final, shape[2], axis=2)),
    ]


def _as_paper(ink: np.ndarray) -> np.ndarray:
    return np.asarray(255 - 255 * np.clip(ink, 0, 1), np.uint8)


def _clearest_channel(picture: Image) -> tuple[np.ndarray, str]:
    """An L or RGB picture to the uint8 [H, W] whose ink and paper lie farthest apart: its brightness, unless a colour is clearly better."""
    brightness = picture.convert("L")
    if picture.mode == "L":
        return np.asarray(brightness), "brightness"
    channels = dict(zip(("red", "green", "blue"), picture.split(), strict=True))
    contrasts = {name: _contrast(channel) for name, channel in channels.items()}
    best = max(contrasts, key=lambda name: contrasts[name])
    if contrasts[best] < CLEARER * _contrast(brightness):
        return np.asarray(brightness), "brightness"
    return np.asarray(channels[best]), best


def _contrast(channel: Image) -> float:
    darkness, _, _ = flatten(np.asarray(channel.reduce(max(1, max(channel.size) // 100))))
    return _parted(darkness, darkness > otsu(darkness))


def _parted(darkness: np.ndarray, over: np.ndarray) -> float:
    """How far the ink (`over`) lies above the paper, on average; 0 where all is one or all the other."""
    return float(darkness[over].mean()) - max(0.0, float(darkness[~over].mean())) if over.any() and not over.all() else 0.0


def flatten(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
    """uint8 [H, W] to (float [H, W]: by how much of the paper's brightness each pixel differs from it towards the ink, the paper, dark ink?)."""
    from PIL import Image, ImageFilter

    dark = _is_dark(grey)
    bright = grey if dark else 255 - grey
    smooth = np.asarray(Image.fromarray(bright).filter(ImageFilter.GaussianBlur(max(grey.shape) / 200)))
    paper = close_gaps(smooth, int(PAPER_WINDOW * max(grey.shape)))
    level = paper.astype(np.float32)
    return (level - bright) / np.maximum(level, LEAST_PAPER), paper if dark else 255 - paper, dark


def _is_dark(grey: np.ndarray) -> bool:
    """Is the ink darker than the paper? It is the smaller part, and differs much from what lies around it."""
    from PIL import Image, ImageFilter

    picture = Image.fromarray(grey)
    picture.thumbnail((SMALL, SMALL), Image.Resampling.BOX)
    around = picture.filter(ImageFilter.MedianFilter(SMALL // 2 - 1))
    return float(((np.asarray(picture, np.float32) - np.asarray(around, np.float32)) ** 3).sum()) <= 0


def close_gaps(pixels: np.ndarray, window: int) -> np.ndarray:
    """Morphological closing of [H, W]: what is dark and narrower than the window takes the brightness around it; edges of wider parts, such
    as a shadow's, stay where they are."""
    brightest = _extreme(_extreme(pixels, window, np.maximum).T, window, np.maximum)
    return _extreme(_extreme(brightest, window, np.minimum).T, window, np.minimum)


def _extreme(pixels: np.ndarray, window: int, choose: np.ufunc) -> np.ndarray:
    """The largest or smallest of the 2 × (window // 2) + 1 pixels above and below each: of 1, 2, 4, … neighbours, then of two such runs."""
    reach = window // 2
    run = np.pad(pixels, ((reach, reach), (0, 0)), mode="edge")
    size, wanted = 1, 2 * reach + 1
    while size < wanted:
        step = min(size, wanted - size)
        run = choose(run[:-step], run[step:])
        size += step
    return run


def otsu(values: np.ndarray) -> float:
    """The threshold that parts values (0..1) into the two classes of least variance within (N. Otsu, 1979, doi:10.1109/TSMC.1979.4310076)."""
    counts, edges = np.histogram(values, bins=128, range=(0, 1))
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    return float(edges[1 + int(np.nanargmax(np.nan_to_num(between)))])


def find_threshold(darkness: np.ndarray) -> float:
    """Between paper and ink; InputError for bare paper."""
    threshold = otsu(darkness)
    if _parted(darkness, darkness > threshold) < LEAST_CONTRAST:
        raise InputError("Nothing is to be seen on the paper: draw darker, or photograph the sign from nearer.")
    return threshold


def ink_amount(darkness: np.ndarray, threshold: float) -> np.ndarray:
    """float [H, W] from 0 = paper to 1 = full ink. It begins below the threshold, so that the grey of the strokes' edges is kept."""
    full = float(np.quantile(darkness[darkness > threshold], FULL_INK))
    return np.clip((darkness - threshold / 2) / (full - threshold / 2), 0, 1)


def _place(amount: np.ndarray, sure: np.ndarray, ink: Ink, shape: tuple[int, int, int]) -> tuple[np.ndarray, str]:
    """Ink float [H, W], and where it is sure, to the model's uint8 [H, W, 1], and what was done in words."""
    from PIL import Image

    height, width, _ = shape
    wider = _lacking(amount, ink.stroke / ink.extent * _box(sure)[1])
    amount, sure = (_extreme(_extreme(part, 2 * wider, np.maximum).T, 2 * wider, np.maximum).T for part in (amount, sure))
    (top, bottom, left, right), longest = _box(sure)
    scale = ink.extent * min(height, width) / longest
    size = max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))
    picture = Image.fromarray(np.asarray(255 * amount, np.uint8))
    box = np.asarray(picture.resize(size, Image.Resampling.BILINEAR, box=(left, top, right, bottom)), np.float32)
    down, across = mass_centres(box[np.newaxis])[0]
    row = int(np.clip(round(ink.centre[0] * height - down), 0, height - size[1]))
    column = int(np.clip(round(ink.centre[1] * width - across), 0, width - size[0]))
    placed = np.zeros((height, width), np.uint8)
    placed[row : row + size[1], column : column + size[0]] = box.round()
    widened = f", widened by {2 * wider} px" if wider else ""
    about = f"{'light' if ink.light else 'dark'} ink as in training: {size[0]}×{size[1]}{widened}, by its centre of mass"
    return (placed if ink.light else 255 - placed)[..., np.newaxis], about


def _box(sure: np.ndarray) -> tuple[tuple[int, ...], int]:
    """(top, bottom, left, right) around what is True in [H, W], and its longest side."""
    top, bottom, left, right = (int(edge) for edge in boxes(sure[np.newaxis])[0])
    return (top, bottom, left, right), max(bottom - top, right - left)


def _lacking(amount: np.ndarray, stroke: float) -> int:
    """By how many pixels on either side strokes are thinner than they should be; 0 unless by a third or more."""
    width = float(stroke_widths(amount[np.newaxis])[0])
    return round((stroke - width) / 2) if width < 2 / 3 * stroke else 0
