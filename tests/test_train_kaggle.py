"""Kaggle's digit recognizer files: what they say is what is read, and a fault is named by column and row."""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.errors import InputError
from train.datasets import load_dataset
from train.kaggle import read_test_csv, submission_text
from train.overview import overview

HEADER = ["label", *(f"pixel{index}" for index in range(784))]

digits = cache(lambda: load_dataset("digits"))


def table(count: int = 200) -> np.ndarray:
    """Text [count, 785]: label and pixels of the first digits, as Kaggle's train.csv has them."""
    return np.column_stack([digits().labels[:count], digits().images[:count].reshape(count, -1)]).astype("<U12")  # wide enough for other cells


def write(folder: Path, rows: np.ndarray, header: list[str] = HEADER) -> Path:
    path = folder / "train.csv"
    path.write_text("".join(",".join(row) + "\n" for row in (header, *rows.tolist())))
    return path


def with_cell(row: int, column: str, value: str, count: int = 200) -> np.ndarray:
    """The table with one cell changed; rows count from 1, as in the messages."""
    rows = table(count)
    rows[row - 1, HEADER.index(column)] = value
    return rows


def fault(path: Path) -> str:
    """The one line that refuses `path`, and names it."""
    with pytest.raises(InputError) as caught:
        load_dataset(str(path))
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def test_a_csv_reads_back_to_the_same_pixels_and_labels(tmp_path: Path) -> None:
    dataset = load_dataset(str(write(tmp_path, table())))
    assert np.array_equal(dataset.images, digits().images[:200])
    assert np.array_equal(dataset.labels, digits().labels[:200])
    assert dataset.images.dtype == np.uint8
    assert dataset.class_names == tuple("0123456789")


def test_the_label_column_may_stand_anywhere(tmp_path: Path) -> None:
    dataset = load_dataset(str(write(tmp_path, np.roll(table(), -1, axis=1), [*HEADER[1:], "label"])))
    assert np.array_equal(dataset.images, digits().images[:200])
    assert np.array_equal(dataset.labels, digits().labels[:200])


def test_whole_numbers_with_a_decimal_point_are_whole_numbers(tmp_path: Path) -> None:
    rows = np.char.add(table(), ".0")
    assert np.array_equal(load_dataset(str(write(tmp_path, rows))).images, digits().images[:200])


@pytest.mark.parametrize("column", ["label", "pixel100"])
@pytest.mark.parametrize("value", ["seven", "0.5", "", "inf", "1e300", "True"])
def test_a_cell_that_is_no_whole_number_is_named_by_column_and_row(tmp_path: Path, column: str, value: str) -> None:
    message = fault(write(tmp_path, with_cell(123, column, value)))
    assert f"{column!r} in row 123 is not a whole number" in message


def test_a_wrong_cell_in_a_long_file_gives_the_one_line_and_no_warning(tmp_path: Path) -> None:
    path = write(tmp_path, with_cell(2000, "pixel5", "seven", count=2500))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert "'pixel5' in row 2000 is not a whole number: 'seven'" in fault(path)
    assert not caught


@pytest.mark.parametrize("value", ["256", "-1", "100000"])
def test_a_pixel_outside_its_range_is_named_by_row(tmp_path: Path, value: str) -> None:
    assert "row 123 has a pixel outside 0..255" in fault(write(tmp_path, with_cell(123, "pixel100", value)))


@pytest.mark.parametrize("value", ["-1", "1000", "4000000000"])
def test_a_label_that_cannot_be_a_class_is_named_by_row(tmp_path: Path, value: str) -> None:
    assert f"label {value} in row 123 is outside the classes" in fault(write(tmp_path, with_cell(123, "label", value)))


def test_a_label_that_leaves_a_gap_names_the_empty_class(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"class '10' \(of 58\) has 0 images"):  # found before it is split
        load_dataset(str(write(tmp_path, with_cell(123, "label", "57")))).check_splittable()


def test_tables_of_another_form_are_refused(tmp_path: Path) -> None:
    rows = table()
    assert "783 pixel columns are not a square picture" in fault(write(tmp_path, rows[:, :-1], HEADER[:-1]))
    assert "0 pixel columns" in fault(write(tmp_path, rows[:, :1], HEADER[:1]))
    assert "no column 'label'" in fault(write(tmp_path, rows[:, 1:], HEADER[1:]))
    assert "has a header but no rows" in fault(write(tmp_path, rows[:0]))


@pytest.mark.parametrize("content", [b"", b"\n\n", bytes(range(128, 256)) * 8, b"PK\x03\x04" + bytes(1000), b'label,pixel0\n"1,2\n'])
def test_a_file_that_is_no_csv_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "train.csv").write_bytes(content)
    fault(tmp_path / "train.csv")


def test_a_row_longer_than_the_header_is_refused_by_line(tmp_path: Path) -> None:
    path = write(tmp_path, table())
    path.write_text(path.read_text() + ",".join(["1"] * 786) + "\n")
    assert "line 202" in fault(path)


def test_the_test_file_is_read_in_the_order_of_its_rows(tmp_path: Path) -> None:
    path = write(tmp_path, table()[::-1, 1:], HEADER[1:])
    assert np.array_equal(read_test_csv(path), digits().images[199::-1])
    assert np.array_equal(read_test_csv(write(tmp_path, table())), digits().images[:200]), "a label column is left out"
    with pytest.raises(InputError, match="No such file"):
        read_test_csv(tmp_path / "nothing.csv")


@pytest.mark.parametrize("end", ["", ".0"])
def test_a_test_file_without_a_header_does_not_lose_its_first_image(tmp_path: Path, end: str) -> None:
    first, *rest = np.char.add(table()[:, 1:], end).tolist()
    with pytest.raises(InputError, match="the first line holds numbers") as caught:
        read_test_csv(write(tmp_path, np.array(rest), first))
    assert "\n" not in str(caught.value)


def test_a_submission_counts_images_from_one() -> None:
    assert submission_text(np.array([7, 0, 9])) == "ImageId,Label\n1,7\n2,0\n3,9\n"


def test_the_overview_has_one_row_a_class() -> None:
    rows = overview(digits())
    assert rows["images"].tolist() == digits().label_counts
    assert rows["share"].sum() == pytest.approx(1)
    assert rows["name"].tolist() == list("0123456789")
    ones = digits().images[digits().labels == 1]
    assert rows["mean_intensity"][1] == pytest.approx(ones.mean() / 255)
    assert rows["mean_intensity"].idxmin() == 1, "a one is drawn with the least ink"
