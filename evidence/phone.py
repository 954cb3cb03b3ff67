"""Digits as a phone would photograph them: ink on paper, uneven light, a shadow, noise, turned, off-centre, coloured, JPEG, EXIF."""

from __future__ import annotations

import io
from collections.abc import Collection

import numpy as np
from PIL import Image, ImageFilter

PERTURBATIONS = ("colour", "gradient", "shadow", "noise", "rotation", "off-centre", "exif", "thin", "blur", "grain")
_TURNED = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}  # what undoes the viewer's turn
_INKS = ((20, 20, 25), (25, 40, 140), (150, 25, 30), (20, 90, 50), (70, 70, 75))
_PAPERS = ((245, 243, 238), (235, 228, 205), (225, 232, 240))


def photograph(digit: np.ndarray, rng: np.random.Generator, perturbations: Collection[str] = PERTURBATIONS) -> bytes:
    """uint8 [H, W] light on dark to the bytes of a JPEG, 500 to 1600 pixels a side, the digit 300 or larger."""
    side = int(rng.integers(500, 1200))
    stroke = _enlarged(digit, int(side * rng.uniform(0.62, 0.85)), thin="thin" in perturbations)
    if "rotation" in perturbations:
        stroke = stroke.rotate(float(rng.uniform(-12, 12)), Image.Resampling.BICUBIC, expand=True)
    height, width = side, int(side * rng.uniform(1, 1.34))
    free = np.array([max(0, width - stroke.width), max(0, height - stroke.height)])
    where = rng.uniform(0.1, 0.9, 2) * free if "off-centre" in perturbations else free / 2
    amount = Image.new("L", (width, height))
    amount.paste(stroke, (int(where[0]), int(where[1])))
    ink, paper = ((20, 20, 25), (245, 243, 238))
    if "colour" in perturbations:
        ink, paper = _INKS[rng.integers(len(_INKS))], _PAPERS[rng.integers(len(_PAPERS))]
    share = np.asarray(amount, np.float32)[..., np.newaxis] / 255
    pixels = (share * np.array(ink) + (1 - share) * np.array(paper)) * _light(height, width, rng, perturbations)[..., np.newaxis]
    if "grain" in perturbations:  # of the paper, a few pixels wide
        coarse = Image.fromarray(rng.normal(0, 4, (height // 3, width // 3)).astype(np.float32))
        pixels += np.asarray(coarse.resize((width, height), Image.Resampling.BILINEAR))[..., np.newaxis]
    if "noise" in perturbations:
        pixels += rng.normal(0, 8, pixels.shape)
    return _jpeg(Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)), rng, perturbations)


def _enlarged(digit: np.ndarray, side: int, thin: bool) -> Image.Image:
    """Smooth strokes with edges of a pixel or two, as ink has them."""
    smooth = np.asarray(Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC), np.float32) / 255
    level = 0.75 if thin else 0.45
    return Image.fromarray(np.asarray(255 * np.clip((smooth - level) * side / len(digit) / 1.5 + 0.5, 0, 1), np.uint8))


def _light(height: int, width: int, rng: np.random.Generator, perturbations: Collection[str]) -> np.ndarray:
    """float [H, W]: 1 = full light."""
    down, across = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    angle = rng.uniform(0, 2 * np.pi)
    along = down * np.sin(angle) + across * np.cos(angle)
    light = np.ones((height, width))
    if "gradient" in perturbations:
        light *= 0.75 + 0.25 * along / np.abs(along).max()
    if "shadow" in perturbations:  # a hand's: its soft edge crosses the picture
        angle = rng.uniform(0, 2 * np.pi)
        distance = down * np.sin(angle) + across * np.cos(angle) - rng.uniform(-0.4, 0.4)
        light *= 1 - 0.4 / (1 + np.exp(-distance / rng.uniform(0.02, 0.1)))
    return light


def _jpeg(picture: Image.Image, rng: np.random.Generator, perturbations: Collection[str]) -> bytes:
    if "blur" in perturbations:
        picture = picture.filter(ImageFilter.GaussianBlur(picture.width / 400))
    exif = Image.Exif()
    if "exif" in perturbations:
        turn = int(rng.choice(list(_TURNED)))
        picture, exif[0x0112] = picture.transpose(_TURNED[turn]), turn
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=80, exif=exif)
    return file.getvalue()
