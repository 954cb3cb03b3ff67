"""A `.keras` or `.h5` that somebody brought: the classifier in it, what it takes and what it answers. Reading it needs TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_runtime.errors import InputError, ModelError
from edge_runtime.preprocess import Preprocessing
from train.datasets import Dataset, load_dataset


@dataclass(frozen=True)
class KerasFile:
    """One file and what is read from it."""

    path: Path
    model: Any
    classes: int
    scaling: str  # the name of the contract's
    contract: Preprocessing
    output: str  # "logits" or "probabilities"

    @classmethod
    def read(cls, path: Path, preprocess: str | None = None) -> KerasFile:
        """InputError or ModelError for a file that is no tf_keras classifier. preprocess: the scaling, where it is not the usual one."""
        from train.head import check_head, ends_in_softmax
        from train.model_files import load_model, model_shape

        model = load_model(path)
        try:
            check_head(model)
            shape, classes = model_shape(model)
        except ModelError as error:
            raise ModelError(f"{path}: {error}") from None
        scaling = preprocess or _usual_scaling(model)
        output = "probabilities" if ends_in_softmax(model) else "logits"
        return cls(path, model, classes, scaling, Preprocessing.named(scaling, shape), output)

    @property
    def sentence(self) -> str:
        """How pixels reach it, which nobody may have said."""
        contract = self.contract
        return f"Pixels reach {self.path.name} as {self.scaling}: pixel × {contract.scale:.4g} + {contract.offset:g} (--preprocess says otherwise)."

    def load_data(self, source: str) -> Dataset:
        """Its pictures and classes; InputError when they are not as many classes as it tells apart."""
        dataset = load_dataset(source, self.contract.shape)
        if len(dataset.class_names) != self.classes:
            raise InputError(f"{self.path} tells {self.classes} classes apart, {source} has {len(dataset.class_names)}.")
        return dataset


def _usual_scaling(model: Any) -> str:
    """A model that scales by itself takes bytes; any other is assumed to take 0..1."""
    from train.fold import scales_pixels_itself

    return "raw" if scales_pixels_itself(model) else "unit"
