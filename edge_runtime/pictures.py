"""From a picture file to the pixels that a model's contract asks for, with every step on the way.

A picture that has the contract's size already is taken as it is. Any other is turned upright (EXIF) and resized; where the contract says how ink
stands in the training pictures (`Preprocessing.ink`), it is taken for a photo of ink on paper instead: see `edge_runtime.photo`.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

import numpy as np

from edge_runtime.errors import InputError, first_line

if TYPE_CHECKING:
    from PIL.Image import Image

    from edge_runtime.preprocess import Preprocessing

MAX_SIDE = 4096  # pixels, of pictures that come over the network
_FOREIGN_FORMATS = ("PNG", "JPEG")


class Step(NamedTuple):
    """One picture on the way: uint8 [H, W] or [H, W, C], and what was done to get there."""

    name: str
    about: str
    pixels: np.ndarray


def read_steps(path: Path, contract: Preprocessing) -> list[Step]:
    """One picture file (PNG, JPEG, BMP, or NPY holding uint8 pixels) to steps, the last of uint8 [H, W, C]; InputError when it cannot be read."""
    array = path.suffix.lower() == ".npy"
    if not array:
        _need_pillow(str(path))
    try:
        with path.open("rb") as file:
            return decode_steps(file, str(path), contract, array=array)
    except FileNotFoundError:
        raise InputError(f"No such image: {path}.") from None
    except OSError as error:
        raise InputError(f"Cannot read {path} as a picture ({first_line(error)}): give a PNG, JPEG, BMP or NPY file.") from None


def decode_steps(file: IO[bytes], name: str, contract: Preprocessing, *, array: bool, foreign: bool = False) -> list[Step]:
    """The same of an open file. foreign: from over the network, so that only PNG and JPEG are decoded, and only if their header says at most
    MAX_SIDE a side (TooLargeError)."""
    if array:
        pixels = _read_array(file, name, contract)
        return [Step("array", f"{_size(pixels)}, taken as it is", pixels)]
    _need_pillow(name)
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file, formats=_FOREIGN_FORMATS if foreign else None) as picture:
            if foreign and max(picture.size) > MAX_SIDE:
                raise TooLargeError(f"The picture is {picture.width}×{picture.height}: at most {MAX_SIDE}×{MAX_SIDE} pixels are taken.")
            return picture_steps(picture, contract)
    except UnidentifiedImageError:
        raise InputError(f"Cannot read {name} as a picture (its bytes are none): give a PNG, JPEG, BMP or NPY file.") from None
    except (Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise InputError(f"Cannot read {name} as a picture ({first_line(error)}): give a PNG, JPEG, BMP or NPY file.") from None


def _need_pillow(name: str) -> None:
    try:
        import PIL  # noqa: F401 - only pictures need it
    except ModuleNotFoundError:
        raise InputError(f"Reading {name} needs Pillow: pip install 'edgeproof[image]', or give uint8 pixels as .npy.") from None


class TooLargeError(InputError):
    """A picture with more pixels than are taken."""


def picture_steps(picture: Image, contract: Preprocessing) -> list[Step]:
    """An open Pillow picture to steps, the last of uint8 [H, W, C]."""
    from PIL import Image

    given = f"{picture.width}×{picture.height} {picture.mode}"
    upright = _upright(picture, contract)
    if upright.size == (contract.width, contract.height):
        return [_contract_step("as it is", f"{given}, the model's own size", upright, contract)]
    if contract.ink is None:
        resized = _coloured(upright, contract).resize((contract.width, contract.height), Image.Resampling.BILINEAR)
        return [Step("upright", given, np.asarray(upright)), _contract_step("resize", "stretched to the model's size", resized, contract)]
    from edge_runtime.photo import ink_steps  # here and below: pixels that come as an array should not wait for it

    _shrink(upright, contract)
    return [Step("upright", given, np.asarray(upright)), *ink_steps(upright, contract.ink, contract.shape)]


def _contract_step(name: str, about: str, picture: Image, contract: Preprocessing) -> Step:
    pixels = np.asarray(_coloured(picture, contract), np.uint8).reshape(contract.shape)
    return Step(name, f"{about}; {_size(pixels)}", pixels)


def _coloured(picture: Image, contract: Preprocessing) -> Image:
    return picture.convert("L" if contract.channels == 1 else "RGB")


def _upright(picture: Image, contract: Preprocessing) -> Image:
    """As the camera was held, in grey or RGB."""
    from PIL import Image, ImageOps

    if contract.ink and picture.mode in ("L", "RGB", "RGBA"):
        _shrink(picture, contract)  # before it is copied: it may be large
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I"):  # 16-bit grey: Pillow would clip it at 255; take the high byte, as it does of 16-bit colour
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if picture.mode in ("RGBA", "LA", "PA", "P"):  # show transparency as white paper, not as whatever colour lies below it
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert("L" if picture.mode in ("1", "L") else "RGB")


def _shrink(picture: Image, contract: Preprocessing) -> None:
    """In place, to what is needed to find ink; smaller pictures stay. (Of a JPEG, Pillow then decodes a half, a quarter or an eighth.)"""
    from PIL import Image

    from edge_runtime.photo import working_side

    side = working_side(contract.shape)
    picture.thumbnail((side, side), Image.Resampling.BILINEAR)


def _size(pixels: np.ndarray) -> str:
    return "×".join(str(size) for size in pixels.shape)


def _read_array(file: IO[bytes], name: str, contract: Preprocessing) -> np.ndarray:
    try:
        pixels = np.lib.format.read_array(file, allow_pickle=False)
    except Exception as error:  # on a damaged header numpy lets through whatever its tokenizer raises
        raise InputError(f"Cannot read {name} as an array ({first_line(error)}): save uint8 pixels with numpy.save.") from None
    if pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape == contract.shape):
        pixels = pixels[np.newaxis]
    batch = contract.as_batch(pixels)
    if len(batch) != 1:
        raise InputError(f"{name} holds {len(batch)} images: save each to a file of its own.")
    return batch[0]
