"""The steps from a picture to the model's input as one PNG: a labelled panel each. Needs Pillow."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge_runtime.errors import InputError
from edge_runtime.pictures import Step

if TYPE_CHECKING:
    from PIL.Image import Image

PANEL = 240  # pixels a side
_GAP, _TEXT, _COLUMNS = 16, 62, 4


def thumbnail(pixels: np.ndarray, side: int = PANEL) -> Image:
    """uint8 [H, W] or [H, W, C] to a picture of at most `side`: large ones averaged, small ones in squares, so that each pixel is seen."""
    from PIL import Image

    picture = Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)
    scale = side / max(picture.size)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    return picture.resize(size, Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX)


def png(picture: Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def panels(steps: Sequence[Step], answer: str) -> Image:
    """All steps in rows of four, and the answer below. (Pillow's own font has no ×.)"""
    from PIL import Image, ImageDraw, ImageFont

    columns, rows = min(_COLUMNS, len(steps)), -(-len(steps) // _COLUMNS)
    sheet = Image.new("RGB", (columns * (PANEL + _GAP) + _GAP, rows * (PANEL + _TEXT + _GAP) + _GAP + 24), "white")
    draw, title, text = ImageDraw.Draw(sheet), ImageFont.load_default(15), ImageFont.load_default(12)
    for number, step in enumerate(steps):
        left, top = _GAP + number % _COLUMNS * (PANEL + _GAP), _GAP + number // _COLUMNS * (PANEL + _TEXT + _GAP)
        picture = thumbnail(step.pixels)
        sheet.paste(picture, (left, top + _TEXT))
        draw.rectangle((left - 1, top + _TEXT - 1, left + picture.width, top + _TEXT + picture.height), outline="#999")
        draw.text((left, top), f"{number + 1}  {step.name}", "black", title)
        draw.multiline_text((left, top + 20), "\n".join(textwrap.wrap(step.about.replace("×", "x"), 40)[:3]), "#444", text, spacing=2)
    draw.text((_GAP, sheet.height - 30), answer, "black", title)
    return sheet


def write_panels(path: Path, steps: Sequence[Step], answer: str) -> None:
    """InputError when the file cannot be written."""
    content = png(panels(steps, answer))
    try:
        path.write_bytes(content)
    except OSError as error:
        raise InputError(f"Cannot write {path} ({error.strerror}): give a file in a folder that exists.") from None
