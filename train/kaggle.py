"""Kaggle's digit recognizer files: `train.csv` in, `submission.csv` out."""

from __future__ import annotations

from math import isqrt
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge_runtime.errors import InputError, first_line
from train.datasets import Dataset, numbered_classes

if TYPE_CHECKING:
    import pandas as pd

_LARGEST = 2**53  # whole numbers above it are not exact in a column of floats, and may not fit into int64


def read_train_csv(path: Path, source: str) -> Dataset:
    """`label,pixel0,…`: one row an image, pixels 0..255, a square number of them. InputError names the column or row at fault."""
    table = _read_table(path)
    if "label" not in table.columns:
        raise InputError(f"{path}: no column 'label'. Kaggle's test.csv has none: use it with `edgeproof predict --kaggle`.")
    labels = _integers(path, table[["label"]])[:, 0]
    if (labels < 0).any() or (labels > 999).any():
        row = int(np.flatnonzero((labels < 0) | (labels > 999))[0])
        raise InputError(f"{path}: label {labels[row]} in row {row + 1} is outside the classes: labels count from 0.")
    return Dataset(source, _images(path, table.drop(columns="label")), labels, numbered_classes(labels))


def read_test_csv(path: Path) -> np.ndarray:
    """`pixel0,…` without labels: uint8 [N, side, side, 1], in the order of the rows. InputError when there is no header."""
    table = _read_table(path)
    if all(name.replace(".", "").isdigit() for name in table.columns):  # pandas tells equal names apart by .1, .2, …
        raise InputError(f"{path}: the first line holds numbers, not column names: put a header (pixel0,pixel1,…) before the first image.")
    return _images(path, table.drop(columns="label", errors="ignore"))


def submission_text(labels: np.ndarray) -> str:
    """The text of Kaggle's submission file: `ImageId,Label`, counting from 1."""
    import pandas as pd

    return pd.DataFrame({"ImageId": np.arange(1, len(labels) + 1), "Label": labels}).to_csv(index=False)


def _read_table(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        table = pd.read_csv(path, low_memory=False)  # in one piece: by chunks, a column with a wrong value warns as well
    except FileNotFoundError:
        raise InputError(f"No such file: {path}.") from None
    except pd.errors.EmptyDataError:
        raise InputError(f"{path}: the file is empty.") from None
    except (pd.errors.ParserError, UnicodeDecodeError, OSError, ValueError) as error:
        raise InputError(f"Cannot read {path} as CSV ({first_line(error)}).") from None
    if table.empty:
        raise InputError(f"{path}: has a header but no rows.")
    return table


def _images(path: Path, table: pd.DataFrame) -> np.ndarray:
    side = isqrt(table.shape[1])
    if side * side != table.shape[1] or side == 0:
        raise InputError(f"{path}: {table.shape[1]} pixel columns are not a square picture (28 × 28 has 784).")
    pixels = _integers(path, table)
    if pixels.min() < 0 or pixels.max() > 255:
        row = int(np.flatnonzero((pixels < 0).any(axis=1) | (pixels > 255).any(axis=1))[0])
        raise InputError(f"{path}: row {row + 1} has a pixel outside 0..255.")
    return pixels.astype(np.uint8).reshape(-1, side, side, 1)


def _integers(path: Path, table: pd.DataFrame) -> np.ndarray:
    """The table's numbers as int64; InputError naming the first column and row that hold something else."""
    import pandas as pd

    converted = {}
    for column in table.columns:
        if pd.api.types.is_integer_dtype(table[column]):
            continue
        numbers = pd.to_numeric(table[column], errors="coerce")
        wrong = np.flatnonzero((numbers.isna() | (numbers % 1 != 0) | (numbers.abs() > _LARGEST)).to_numpy())
        if len(wrong):
            value = table[column].iloc[wrong[0]]
            raise InputError(f"{path}: {column!r} in row {wrong[0] + 1} is not a whole number: {value!r}.")
        converted[str(column)] = numbers
    return table.assign(**converted).to_numpy().astype(np.int64)
