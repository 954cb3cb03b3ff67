"""Labelled images from wherever the user keeps them, checked before anything is written.

digits            the embedded 42,000 handwritten digits
train.csv         Kaggle's digit recognizer file: a column `label`, then one column a pixel (train/kaggle.py)
images.npz        arrays `images` uint8 [N, H, W(, C)] and `labels` int [N]
folder/           one sub-folder of PNG/JPEG pictures per class
x-images-idx3-ubyte   an IDX pair: the images file, with its labels file beside it
"""

from __future__ import annotations

import gzip
import hashlib
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_runtime.errors import InputError, first_line
from edge_runtime.preprocess import PHOTO_SUFFIXES, Preprocessing

EMBEDDED = "digits"
EMBEDDED_FILE = Path(__file__).parent / "data" / "digits-42k.npz"
_ORIENTATION, _LYING = 0x0112, (5, 6, 7, 8)  # the EXIF tag, and its values for a camera held upright
MIN_IMAGES_PER_CLASS = 10  # an 80/20 split, and the slices taken from the 80 %, need some of each class in every part


@dataclass(frozen=True)
class Dataset:
    """images uint8 [N, H, W, C], labels int64 [N] in 0..classes-1, and the names of the classes."""

    source: str
    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 4 or self.images.shape[3] not in (1, 3):
            raise InputError(f"{self.source}: expected uint8 images [N, H, W, 1 or 3], got {self.images.dtype} {list(self.images.shape)}.")
        if len(self.images) != len(self.labels):
            raise InputError(f"{self.source}: {len(self.images)} images but {len(self.labels)} labels.")
        if len(self.images) == 0:
            raise InputError(f"{self.source}: holds no images.")
        self._check_labels()

    def _check_labels(self) -> None:
        classes = len(self.class_names)
        outside = np.flatnonzero((self.labels < 0) | (self.labels >= classes))
        if len(outside):
            label = self.labels[outside[0]]
            raise InputError(f"{self.source}: label {label} of image {outside[0] + 1} is outside the classes 0..{classes - 1}.")
        if classes < 2:
            raise InputError(f"{self.source}: a classifier needs at least 2 classes, found {classes}.")

    def check_splittable(self) -> None:
        """InputError unless there are enough images of every class to train and judge on different ones."""
        for name, count in zip(self.class_names, self.label_counts, strict=True):
            if count < MIN_IMAGES_PER_CLASS:
                classes = len(self.class_names)
                raise InputError(
                    f"{self.source}: class {name!r} (of {classes}) has {count} images, at least {MIN_IMAGES_PER_CLASS} are needed to split."
                )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C) of each image."""
        _, height, width, channels = self.images.shape
        return height, width, channels

    @property
    def label_counts(self) -> list[int]:
        return np.bincount(self.labels, minlength=len(self.class_names)).tolist()

    @property
    def sha256(self) -> str:
        """Of pixels and labels, so that the same pictures are the same data set wherever they were read from."""
        digest = hashlib.sha256(self.images.tobytes())
        digest.update(self.labels.astype("<i8").tobytes())
        return digest.hexdigest()


def load_dataset(source: str, shape: tuple[int, int, int] | None = None) -> Dataset:
    """Read `source`. Pictures in a folder are brought to `shape` (H, W, C); arrays must have it already.

    shape: None keeps arrays as they are, and brings pictures to the size of the first one.
    Raises InputError, with one line that names the file and the fault.
    """
    if source == EMBEDDED:
        dataset = read_npz(EMBEDDED_FILE, source)
    else:
        path = Path(source)
        if not path.exists():
            raise InputError(f"No data at {source}: give a folder of class folders, a .csv, an .npz, an IDX file, or {EMBEDDED!r}.")
        dataset = read_folder(path, shape) if path.is_dir() else _reader(path)(path, source)
    if shape is not None and dataset.shape != shape:
        raise InputError(f"{source}: images are {_size(dataset.shape)}, the model takes {_size(shape)}.")
    return dataset


def _reader(path: Path) -> Callable[[Path, str], Dataset]:
    if path.suffix == ".csv":
        from train.kaggle import read_train_csv

        return read_train_csv
    if path.suffix == ".npz":
        return read_npz
    if "-idx3-" in path.name or ".idx3-" in path.name:
        return read_idx
    raise InputError(f"Cannot tell what {path} is: give a folder of class folders, a .csv, an .npz or an IDX file (…-idx3-ubyte).")


def _size(shape: tuple[int, ...]) -> str:
    return "×".join(str(size) for size in shape)


def read_npz(path: Path, source: str) -> Dataset:
    """Arrays `images` and `labels`; optional `class_names`."""
    try:
        with path.open("rb") as file:  # ours to close: numpy leaves it open when it is no zip file after all
            arrays = np.load(file, allow_pickle=False)
            if isinstance(arrays, np.ndarray):
                raise ValueError("it holds a single array: numpy.savez writes several, by name")
            missing = {"images", "labels"} - set(arrays.files)
            if missing:
                raise InputError(f"{path}: no array {sorted(missing)[0]!r} (found {', '.join(map(repr, arrays.files)) or 'none'}).")
            images, labels = np.asarray(arrays["images"]), np.asarray(arrays["labels"])  # a member that is no array comes as bytes
            names = tuple(str(name) for name in np.ravel(arrays["class_names"])) if "class_names" in arrays.files else None
    except InputError:
        raise
    except Exception as error:  # on a damaged file numpy lets through whatever zipfile and its header's tokenizer raise
        raise InputError(f"Cannot read {path} as an .npz ({first_line(error)}).") from None
    return _from_arrays(source, images, labels, names)


def read_idx(path: Path, source: str) -> Dataset:
    """An IDX pair (http://yann.lecun.com/exdb/mnist): `…images-idx3-ubyte`, its labels in `…labels-idx1-ubyte` beside it, either gzipped."""
    name = path.name.replace("images", "labels").replace("idx3", "idx1").removesuffix(".gz")
    labels_path = next((path.with_name(file) for file in (name, f"{name}.gz") if path.with_name(file).is_file()), None)
    if labels_path is None:
        raise InputError(f"{path} has no labels beside it: expected {name} or {name}.gz.")
    return _from_arrays(source, _idx_array(path, 3), _idx_array(labels_path, 1), None)


def _idx_array(path: Path, dimensions: int) -> np.ndarray:
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        zero, kind, found = struct.unpack(">HBB", content[:4])
        shape = struct.unpack(f">{dimensions}I", content[4 : 4 + 4 * dimensions])
        if (zero, kind, found) != (0, 8, dimensions):
            raise ValueError("not an IDX file of bytes")
        return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
    except (struct.error, zlib.error, ValueError, OSError, EOFError) as error:
        raise InputError(f"Cannot read {path} as IDX ({error}).") from None


def read_folder(folder: Path, shape: tuple[int, int, int] | None) -> Dataset:
    """One sub-folder of pictures per class, classes in the order of their names; hidden files and other suffixes are left out."""
    classes = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if len(classes) < 2:
        raise InputError(f"{folder}: expected one sub-folder of pictures per class, found {len(classes)} sub-folders.")
    files = [(picture, label) for label, entry in enumerate(classes) for picture in _pictures(entry)]
    if not files:
        raise InputError(f"{folder}: no {', '.join(PHOTO_SUFFIXES)} files in its sub-folders.")
    contract = Preprocessing(*(shape or _picture_shape(files[0][0])))
    images = np.stack([contract.load_image(picture) for picture, _ in files])
    return Dataset(str(folder), images, np.array([label for _, label in files], np.int64), tuple(entry.name for entry in classes))


def _pictures(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in PHOTO_SUFFIXES and not file.name.startswith("."))


def _picture_shape(path: Path) -> tuple[int, int, int]:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            width, height = picture.size[::-1] if picture.getexif().get(_ORIENTATION, 1) in _LYING else picture.size
            return height, width, 1 if picture.mode in ("1", "L", "I;16") else 3
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise InputError(f"Cannot read {path} as a picture ({first_line(error)}).") from None


def _from_arrays(source: str, images: np.ndarray, labels: np.ndarray, names: tuple[str, ...] | None) -> Dataset:
    if not np.issubdtype(labels.dtype, np.integer) or labels.ndim != 1:
        raise InputError(f"{source}: labels must be integers [N], got {labels.dtype} {list(labels.shape)}.")
    images = images[..., np.newaxis] if images.ndim == 3 else images
    labels = labels.astype(np.int64)
    return Dataset(source, images, labels, names or numbered_classes(labels))


def numbered_classes(labels: np.ndarray) -> tuple[str, ...]:
    """Names "0".."k" where only numbers are known: up to the largest label.

    labels int64 [N]. A label of N or more is a mistake, not a class: `Dataset` then refuses it.
    """
    return tuple(str(index) for index in range(min(int(labels.max(initial=0)), len(labels)) + 1))
