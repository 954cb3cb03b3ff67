"""Pictures of the data and of the training, for `figures/`: seaborn over matplotlib, drawn without a display.

Each function returns the bytes of a PNG.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from train.datasets import Dataset
from train.fit import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.container import BarContainer
    from matplotlib.figure import Figure

_SAMPLES_PER_CLASS = 8
_MAX_CLASSES_SHOWN = 20
_DPI = 110


def samples(dataset: Dataset) -> bytes:
    """The first few images of each class, one row a class."""
    classes = min(len(dataset.class_names), _MAX_CLASSES_SHOWN)
    figure = _figure(1.0 * _SAMPLES_PER_CLASS, 1.0 * classes)
    axes = figure.subplots(classes, _SAMPLES_PER_CLASS, squeeze=False)
    for label in range(classes):
        members = np.flatnonzero(dataset.labels == label)[:_SAMPLES_PER_CLASS]
        for column, axis in enumerate(axes[label]):
            axis.set_xticks([])
            axis.set_yticks([])
            if column < len(members):
                axis.imshow(dataset.images[members[column]].squeeze(), cmap="gray")
        axes[label][0].set_ylabel(dataset.class_names[label], rotation=0, ha="right", va="center")
    figure.suptitle("Samples of each class")
    return _png(figure)


def label_counts(dataset: Dataset) -> bytes:
    """How many images each class has."""
    import seaborn

    figure = _figure(8, 4)
    axis = figure.subplots()
    seaborn.barplot(x=list(dataset.class_names), y=dataset.label_counts, ax=axis, color="#4c78a8")
    axis.bar_label(_bars(axis), fontsize=8)
    axis.set(title=f"Images per class ({len(dataset.labels):,} in all)", xlabel="class", ylabel="images")
    return _png(figure)


def learning_curves(history: History) -> bytes:
    """Loss and accuracy by epoch, on the fitted images and on the selection slice; the kept epoch is marked."""
    import pandas as pd
    import seaborn

    rows = pd.DataFrame(history.epochs)
    figure = _figure(10, 4)
    for axis, quantity in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        lines = rows[["epoch", quantity, f"val_{quantity}"]].rename(columns={quantity: "fit", f"val_{quantity}": "selection"})
        seaborn.lineplot(
            lines.melt("epoch", var_name="part", value_name=quantity), x="epoch", y=quantity, hue="part", style="part", markers=True, ax=axis
        )
        axis.axvline(history.best_epoch, color="grey", linestyle=":", label=f"kept: epoch {history.best_epoch}")
        axis.legend()
        axis.set_title(quantity.capitalize())
        axis.xaxis.get_major_locator().set_params(integer=True)
    return _png(figure)


def confusion(matrix: np.ndarray, names: tuple[str, ...]) -> bytes:
    """Confusion matrix (rows: truth) without its diagonal's glare, and the error rate of each class."""
    import seaborn

    size = max(5.0, 0.5 * len(names))
    figure = _figure(size * 2, size)
    left, right = figure.subplots(1, 2, width_ratios=[1.2, 1])
    diagonal = np.eye(len(names), dtype=bool)
    annotate = len(names) <= _MAX_CLASSES_SHOWN
    options: dict[str, Any] = {"xticklabels": names, "yticklabels": names, "ax": left, "annot": annotate, "fmt": "d", "cbar": False, "square": True}
    seaborn.heatmap(matrix, mask=~diagonal, cmap=["#e8eef5"], **options)
    seaborn.heatmap(matrix, mask=diagonal, cmap="Reds", **options)
    errors = matrix.sum() - np.trace(matrix)
    left.set(title=f"Confusion matrix: {errors} errors in {matrix.sum():,}", xlabel="answer", ylabel="truth")
    rates = 100 * (1 - np.diag(matrix) / np.maximum(matrix.sum(axis=1), 1))
    seaborn.barplot(x=rates, y=list(names), orient="h", color="#c44e52", ax=right)
    right.bar_label(_bars(right), fmt="%.2f %%", fontsize=8, padding=2)
    right.set(title="Error rate by class", xlabel="%", ylabel="")
    right.margins(x=0.15)
    return _png(figure)


def _bars(axis: Axes) -> BarContainer:
    return cast("BarContainer", axis.containers[0])


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)  # no pyplot: no display, no global state
    return figure


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    return buffer.getvalue()
