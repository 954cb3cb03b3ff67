"""The preprocessing contract: how a picture becomes the numbers a model was trained on.

It is data, not code: it travels in the model's metadata, and is applied by this module and `edge_runtime.pictures` in training, calibration,
parity and on the device. A picture is decoded and resized to uint8 once; the model then sees `pixel * scale + offset`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.errors import InputError, unknown_name
from edge_runtime.ink import PHOTOS, Ink

if TYPE_CHECKING:
    from PIL.Image import Image

    from edge_runtime.pictures import Step

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
    ink: Ink | None = None  # for models of strokes on paper: how they stand in the training pictures, so that a photo can be brought there

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

    def reading(self, photo: str) -> Preprocessing:
        """The contract for pictures read as `photo` says: "auto" as the model does, or a name in `edge_runtime.ink.PHOTOS`."""
        if photo == "auto":
            return self
        if photo not in PHOTOS:
            raise unknown_name("way to read a photo", photo, ("auto", *PHOTOS))
        return replace(self, ink=PHOTOS[photo])

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Preprocessing:
        ink = fields.get("ink")
        contract = cls(**{**fields, "ink": Ink.from_dict(ink) if ink else None})
        if contract.resize != RESIZE or contract.layout not in LAYOUTS:
            raise InputError(f"This model's preprocessing ({contract.resize}, {contract.layout}) needs a newer edge_runtime: upgrade it.")
        return contract

    def to_dict(self) -> dict[str, Any]:
        fields = asdict(self)
        if self.ink is None:
            del fields["ink"]  # as files had it before there was such a field: older edge_runtimes go on reading them
        return fields

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
            remedy = "one image is a batch as images[None]" if images.shape == self.shape else "resize them, or pass a picture file"
            raise InputError(f"This model takes images {wanted}, got {list(images.shape)}: {remedy}.")
        return batch

    def load_image(self, path: str | Path) -> np.ndarray:
        """One picture file (PNG, JPEG, BMP, or NPY holding uint8 pixels) to uint8 [H, W, C]; InputError when it cannot be read."""
        return self.load_steps(path)[-1].pixels

    def load_steps(self, path: str | Path) -> list[Step]:
        """The same with every step on the way: the last one's pixels are what the model sees."""
        from edge_runtime.pictures import read_steps

        return read_steps(Path(path), self)

    def fit(self, picture: Image) -> np.ndarray:
        """An open Pillow picture to uint8 [H, W, C]."""
        from edge_runtime.pictures import picture_steps

        return picture_steps(picture, self)[-1].pixels
