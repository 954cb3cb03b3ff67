"""The preprocessing contract: how a picture becomes the numbers a model was trained on.

It is data, not code: it travels in the model's metadata, and this one module applies it in training, calibration, parity and on the
device. A picture is decoded and resized to uint8 once; the model then sees `pixel * scale + offset`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.errors import InputError, first_line, unknown_name

if TYPE_CHECKING:
    from PIL.Image import Image

# Pillow's own bilinear filter: half-pixel centres, widened (antialiased) when it shrinks. No other resize gives the same bytes.
RESIZE = "pillow-bilinear-antialias"
PHOTO_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
LAYOUTS = ("NHWC", "NCHW")  # where a model's input has its channels; pictures are [N, H, W, C] everywhere else

# The usual input ranges of Keras image classifiers, as (scale, offset).
SCALINGS: dict[str, tuple[float, float]] = {
    "unit": (1 / 255, 0.0),  # 0..1
    "signed": (1 / 127.5, -1.0),  # -1..1
    "raw": (1.0, 0.0),  # 0..255: the model scales by itself
}


@dataclass(frozen=True)
class Preprocessing:
    """The contract of one model: size and channels of its input, and the scaling of its pixels."""

    height: int
    width: int
    channels: int  # 1 = grey, 3 = RGB
    scale: float = 1 / 255
    offset: float = 0.0
    resize: str = RESIZE
    layout: str = "NHWC"

    @classmethod
    def named(cls, scaling: str, shape: tuple[int, int, int]) -> Preprocessing:
        """The contract for `shape` (H, W, C) with one of the usual scalings; InputError for an unknown one."""
        if scaling not in SCALINGS:
            raise unknown_name("preprocessing", scaling, SCALINGS)
        return cls(*shape, *SCALINGS[scaling])

    @classmethod
    def of_input(cls, shape: Sequence[int | str], scaling: str = "unit") -> Preprocessing:
        """The contract that a model's input [1, H, W, C] or [1, C, H, W] implies; a word stands for a size that is left open.

        The channels are where 1 or 3 stands, in the last place if in both. InputError for anything but pictures of a fixed size, one at a time.
        """
        batch, *sizes = shape if len(shape) == 4 else (0,)
        fixed = [size for size in sizes if isinstance(size, int)]
        one = batch in (1, -1) or isinstance(batch, str)
        if one and len(fixed) == 3 and fixed[2] in (1, 3):
            return cls.named(scaling, (fixed[0], fixed[1], fixed[2]))
        if one and len(fixed) == 3 and fixed[0] in (1, 3):
            return replace(cls.named(scaling, (fixed[1], fixed[2], fixed[0])), layout="NCHW")
        wanted = "[1, H, W, 1 or 3] or [1, 1 or 3, H, W] (NHWC or NCHW) of fixed size"
        raise InputError(f"Expected an image classifier, images {wanted} in, got {list(shape)}: export the model again.")

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Preprocessing:
        contract = cls(**fields)
        if contract.resize != RESIZE or contract.layout not in LAYOUTS:
            raise InputError(f"This model's preprocessing ({contract.resize}, {contract.layout}) needs a newer edge_runtime: upgrade it.")
        return contract

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.height, self.width, self.channels

    def normalize(self, images: np.ndarray) -> np.ndarray:
        """uint8 [N, H, W, C] to the float32 the model was trained on, same shape."""
        return images.astype(np.float32) * np.float32(self.scale) + np.float32(self.offset)

    def arrange(self, batch: np.ndarray) -> np.ndarray:
        """[N, H, W, C] in the model's own layout."""
        return batch if self.layout == "NHWC" else np.ascontiguousarray(batch.transpose(0, 3, 1, 2))

    def as_batch(self, images: np.ndarray) -> np.ndarray:
        """uint8 [N, H, W] or [N, H, W, C] to [N, H, W, C]; InputError when dtype or size differ from the contract."""
        images = np.asarray(images)
        if images.dtype != np.uint8:
            raise InputError(f"Images must be uint8 pixels (0..255), got {images.dtype}: pass the picture's own bytes, not scaled values.")
        batch = images[..., np.newaxis] if images.ndim == 3 and self.channels == 1 else images
        if batch.ndim != 4 or batch.shape[1:] != self.shape:
            wanted = f"[N, {self.height}, {self.width}, {self.channels}]"
            raise InputError(f"This model takes images {wanted}, got {list(images.shape)}: resize them, or pass a picture file.")
        return batch

    def load_image(self, path: str | Path) -> np.ndarray:
        """One picture file (PNG, JPEG, BMP, or NPY holding uint8 pixels) to uint8 [H, W, C]; InputError when it cannot be read."""
        path = Path(path)
        if path.suffix.lower() == ".npy":
            return self._load_npy(path)
        try:
            from PIL import Image, UnidentifiedImageError  # only pictures need Pillow
        except ModuleNotFoundError:
            raise InputError(f"Reading {path} needs Pillow: pip install 'edgeproof[image]', or give uint8 pixels as .npy.") from None
        try:
            with Image.open(path) as picture:
                return self.fit(picture)
        except FileNotFoundError:
            raise InputError(f"No such image: {path}.") from None
        except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
            raise InputError(f"Cannot read {path} as a picture ({first_line(error)}): give a PNG, JPEG, BMP or NPY file.") from None

    def fit(self, picture: Image) -> np.ndarray:
        """An open Pillow picture to uint8 [H, W, C]: colour, then size."""
        from PIL import Image

        if picture.mode.startswith("I"):  # 16-bit grey: Pillow would clip it at 255; take the high byte, as it does of 16-bit colour
            picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
        if picture.mode in ("RGBA", "LA", "PA", "P"):  # show transparency as white paper, not as whatever colour lies below it
            picture = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
        picture = picture.convert("L" if self.channels == 1 else "RGB")
        if picture.size != (self.width, self.height):
            picture = picture.resize((self.width, self.height), Image.Resampling.BILINEAR)
        return np.asarray(picture, np.uint8).reshape(self.shape)

    def _load_npy(self, path: Path) -> np.ndarray:
        try:
            with path.open("rb") as file:
                pixels = np.lib.format.read_array(file, allow_pickle=False)
        except FileNotFoundError:
            raise InputError(f"No such image: {path}.") from None
        except Exception as error:  # on a damaged header numpy lets through whatever its tokenizer raises
            raise InputError(f"Cannot read {path} as an array ({first_line(error)}): save uint8 pixels with numpy.save.") from None
        if pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape == self.shape):
            pixels = pixels[np.newaxis]
        batch = self.as_batch(pixels)
        if len(batch) != 1:
            raise InputError(f"{path} holds {len(batch)} images: save each to a file of its own.")
        return batch[0]
