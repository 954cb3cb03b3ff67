"""What the data looks like, before anybody trains on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from train.datasets import Dataset

if TYPE_CHECKING:
    import pandas as pd


def overview(dataset: Dataset) -> pd.DataFrame:
    """One row a class: images, share, mean ink (0..1): what the data looks like before anybody trains on it."""
    import pandas as pd

    ink = pd.Series(dataset.images.reshape(len(dataset.images), -1).mean(axis=1) / 255)
    table = pd.DataFrame({"label": dataset.labels, "ink": ink}).groupby("label").agg(images=("ink", "size"), mean_intensity=("ink", "mean"))
    table["share"] = table["images"] / len(dataset.labels)
    table.insert(0, "name", [dataset.class_names[label] for label in table.index])
    return table
