"""Every way of handing over pictures gives the same data set, and every bad one a single line that says what is wrong with which file."""

from __future__ import annotations

import gzip
import hashlib
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edge_runtime.errors import InputError
from train.datasets import Dataset, load_dataset

EMBEDDED_COUNTS = [4132, 4684, 4177, 4351, 4072, 3795, 4137, 4401, 4063, 4188]
EMBEDDED_SHA256 = "929b8254c31847e9bbdf63283345301c6b78c526676f39f9cbb7fa52319b8198"

digits = cache(lambda: load_dataset("digits"))


def some_digits(count: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """uint8 [count, 28, 28], int64 [count]: the first digits, at least 10 of each class in 200."""
    return digits().images[:count, ..., 0], digits().labels[:count]


def fault(source: Path, shape: tuple[int, int, int] | None = None) -> str:
    """The one line that refuses `source`, and names it."""
    with pytest.raises(InputError) as caught:
        load_dataset(str(source), shape)
    message = str(caught.value)
    assert "\n" not in message
    assert str(source) in message
    return message


def npz(folder: Path, **arrays: np.ndarray) -> Path:
    np.savez(folder / "data.npz", **arrays)
    return folder / "data.npz"


def idx_pair(folder: Path, pack: Callable[[bytes], bytes] = bytes, suffix: str = "") -> Path:
    images, labels = some_digits()
    paths = folder / f"train-images-idx3-ubyte{suffix}", folder / f"train-labels-idx1-ubyte{suffix}"
    paths[0].write_bytes(pack(struct.pack(">HBBIII", 0, 8, 3, *images.shape) + images.tobytes()))
    paths[1].write_bytes(pack(struct.pack(">HBBI", 0, 8, 1, len(labels)) + labels.astype(np.uint8).tobytes()))
    return paths[0]


def picture_folder(folder: Path, mode: str, classes: tuple[str, ...] = ("cat", "dog"), suffix: str = "png") -> Path:
    """Ten pictures 12 wide and 10 high per class, each of one brightness: 20·number + 5·class."""
    for label, name in enumerate(classes):
        (folder / name).mkdir()
        for number in range(10):
            pixels = np.full((10, 12) if mode == "L" else (10, 12, 3), 20 * number + 5 * label, np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.{suffix}")
    return folder


def test_the_embedded_digits_are_the_42000_that_were_published() -> None:
    assert digits().shape == (28, 28, 1)
    assert digits().label_counts == EMBEDDED_COUNTS
    assert hashlib.sha256(digits().images.tobytes()).hexdigest() == EMBEDDED_SHA256


def test_the_same_pictures_are_the_same_data_set_from_npz_and_idx(tmp_path: Path) -> None:
    images, labels = some_digits()
    sources = npz(tmp_path, images=images, labels=labels), idx_pair(tmp_path), idx_pair(tmp_path, gzip.compress, ".gz")
    loaded = [load_dataset(str(source)) for source in sources]
    assert np.array_equal(loaded[0].images, images[..., np.newaxis])
    assert np.array_equal(loaded[0].labels, labels)
    assert len({dataset.sha256 for dataset in loaded}) == 1
    assert loaded[0].sha256 != Dataset("", images[..., np.newaxis], np.roll(labels, 1), tuple("0123456789")).sha256


def test_either_file_of_an_idx_pair_may_be_gzipped_but_none_may_be_missing(tmp_path: Path) -> None:
    images, labels = idx_pair(tmp_path), tmp_path / "train-labels-idx1-ubyte"
    content = labels.read_bytes()
    labels.unlink()
    assert "no labels beside it: expected train-labels-idx1-ubyte" in fault(images)
    labels.with_name(f"{labels.name}.gz").write_bytes(gzip.compress(content))
    assert np.array_equal(load_dataset(str(images)).labels, some_digits()[1])


def test_an_npz_may_name_its_classes(tmp_path: Path) -> None:
    images, labels = some_digits()
    assert load_dataset(str(npz(tmp_path, images=images, labels=labels, class_names=np.array([*"ABCDEFGHIJ"])))).class_names[3] == "D"


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3)])
def test_a_folder_keeps_the_size_and_colour_of_its_first_picture(tmp_path: Path, mode: str, channels: int) -> None:
    dataset = load_dataset(str(picture_folder(tmp_path, mode)))
    assert dataset.images.shape == (20, 10, 12, channels)
    assert (dataset.class_names, dataset.labels.tolist()) == (("cat", "dog"), [0] * 10 + [1] * 10)
    assert dataset.images[:, 0, 0, 0].tolist() == [20 * number + 5 * label for label in range(2) for number in range(10)]


@pytest.mark.parametrize(("mode", "shape"), [("L", (6, 8, 3)), ("RGB", (16, 20, 1))])
def test_pictures_of_a_folder_are_brought_to_the_size_of_the_model(tmp_path: Path, mode: str, shape: tuple[int, int, int]) -> None:
    dataset = load_dataset(str(picture_folder(tmp_path, mode, suffix="bmp")), shape)
    assert dataset.shape == shape
    assert (dataset.images[13] == 20 * 3 + 5).all(), "a picture of one brightness stays so in any size and colour"


def test_hidden_and_foreign_files_in_a_folder_are_left_out(tmp_path: Path) -> None:
    folder = picture_folder(tmp_path, "L")
    (folder / ".git").mkdir()
    (folder / "cat" / "notes.txt").write_text("not a picture")
    (folder / "cat" / "._0.png").write_bytes(b"a resource fork")
    assert load_dataset(str(folder)).label_counts == [10, 10]


def test_no_such_data_is_refused_with_what_it_could_be(tmp_path: Path) -> None:
    assert "'digits'" in fault(tmp_path / "nothing.npz")
    (tmp_path / "notes.txt").write_text("hello")
    assert "Cannot tell what" in fault(tmp_path / "notes.txt")


@pytest.mark.parametrize("name", ["data.npz", "x-images-idx3-ubyte", "x-images-idx3-ubyte.gz"])
@pytest.mark.parametrize("content", [b"", b"\x1f\x8b", b"PK\x03\x04", bytes(range(256)) * 4], ids=["empty", "gzip start", "zip start", "bytes"])
def test_a_file_of_something_else_cannot_be_read(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / "x-labels-idx1-ubyte").write_bytes(b"")
    (tmp_path / name).write_bytes(content)
    assert "Cannot read" in fault(tmp_path / name)


@given(st.dictionaries(st.integers(0, 200) | st.integers(-600, -1), st.integers(0, 255), min_size=1, max_size=3))
@settings(max_examples=100, deadline=None)
def test_an_npz_with_any_damage_is_read_or_refused_in_one_line(changes: dict[int, int]) -> None:
    images, labels = some_digits()
    with TemporaryDirectory() as folder:
        path = npz(Path(folder), images=images, labels=labels)
        content = bytearray(path.read_bytes())
        for position, byte in changes.items():
            content[position] = byte
        path.write_bytes(content)
        message = ""
        try:
            load_dataset(str(path))
        except InputError as error:
            message = str(error)
    assert "\n" not in message


def test_a_damaged_gzip_cannot_be_read(tmp_path: Path) -> None:
    path = idx_pair(tmp_path, gzip.compress, ".gz")
    content = path.read_bytes()
    for damaged in (content[:1000] + b"?" * 100 + content[1100:], content[:500]):
        path.write_bytes(damaged)
        assert "Cannot read" in fault(path)


def test_arrays_that_are_no_labelled_images_are_refused_by_name(tmp_path: Path) -> None:
    images, labels = some_digits()
    np.save(tmp_path / "one.npy", images)
    assert "a single array" in fault((tmp_path / "one.npy").rename(tmp_path / "one.npz"))
    assert "images are 28×28×1, the model takes 32×32×3" in fault(npz(tmp_path, images=images, labels=labels), (32, 32, 3))
    assert "no array 'labels' (found 'images')" in fault(npz(tmp_path, images=images))
    assert "got float64 [200, 28, 28, 1]" in fault(npz(tmp_path, images=images / 255, labels=labels))
    assert "got uint8 [200, 28, 28, 2]" in fault(npz(tmp_path, images=np.stack([images, images], -1), labels=labels))
    assert "labels must be integers [N], got float64" in fault(npz(tmp_path, images=images, labels=labels / 2))
    assert "200 images but 199 labels" in fault(npz(tmp_path, images=images, labels=labels[1:]))
    assert "holds no images" in fault(npz(tmp_path, images=images[:0], labels=labels[:0]))
    assert "Object arrays cannot be loaded" in fault(npz(tmp_path, images=images, labels=np.array([{}, []], object)))


def test_labels_that_cannot_be_split_are_refused(tmp_path: Path) -> None:
    images, labels = some_digits()
    few = np.flatnonzero(labels == 7)[9:]
    for changed, count in ((np.where(labels == 7, 4, labels), 0), (np.where(np.isin(np.arange(200), few), 4, labels), 9)):
        held_out = load_dataset(str(npz(tmp_path, images=images, labels=changed)))
        assert held_out.label_counts[7] == count, "enough to judge on"
        with pytest.raises(InputError, match=f"class '7' .of 10. has {count} images, at least 10"):
            held_out.check_splittable()
    load_dataset(str(npz(tmp_path, images=images, labels=labels))).check_splittable()
    assert "at least 2 classes" in fault(npz(tmp_path, images=images, labels=labels * 0))
    for wrong in (-1, 10**12):
        damaged = np.where(np.arange(200) == 5, wrong, labels)
        assert f"label {wrong} of image 6 is outside the classes" in fault(npz(tmp_path, images=images, labels=damaged))


def test_a_folder_with_a_single_class_or_without_pictures_is_refused(tmp_path: Path) -> None:
    picture_folder(tmp_path, "L", classes=("cat",))
    assert "found 1 sub-folders" in fault(tmp_path)
    for picture in (tmp_path / "cat").iterdir():
        picture.unlink()
    (tmp_path / "dog").mkdir()
    assert "no .png" in fault(tmp_path)


@pytest.mark.parametrize("broken", ["cat/0.png", "dog/5.png"], ids=["first", "later"])
def test_a_corrupt_picture_is_named(tmp_path: Path, broken: str) -> None:
    path = picture_folder(tmp_path, "RGB") / broken
    huge = b"BM" + struct.pack("<IIIIiiHHIIIIII", 54, 0, 54, 40, 30_000, 30_000, 1, 24, 0, 0, 0, 0, 0, 0)  # a BMP header alone
    for damaged in (b"", path.read_bytes()[:45], huge):
        path.write_bytes(damaged)
        assert str(path) in fault(tmp_path)
