"""What every stage must know of the workspace: the model's name, its data, its preprocessing."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_runtime.errors import InputError
from edge_runtime.preprocess import Preprocessing
from edgeproof.workspace import Workspace
from train.datasets import EMBEDDED, Dataset, load_dataset
from train.recipes import FINE_TUNING, RECIPES, Training
from train.splits import Split, stratified_split

_VERSIONED = ("edgeproof", "tensorflow", "tf-keras", "tensorflow-model-optimization", "tf2onnx", "onnx", "onnxruntime", "numpy")


@dataclass(frozen=True)
class Project:
    """The facts of `training.json` and `dataset.json`."""

    name: str  # of the recipe, or the stem of the user's model file
    recipe: str | None
    seed: int
    output: str  # what artifacts answer with: "logits" or "probabilities"
    contract: Preprocessing
    class_names: tuple[str, ...]
    source: str
    dataset_sha256: str
    baseline_sha256: str

    @classmethod
    def of(cls, workspace: Workspace) -> Project:
        """Read a workspace that holds a baseline; MissingInputError names `edgeproof train` when there is none."""
        training, dataset = workspace.read_json("training.json"), workspace.read_json("dataset.json")
        try:
            return cls._from(training, dataset)
        except KeyError as error:
            raise InputError(
                f"{workspace.path}: training.json or dataset.json lacks {error}: run `{workspace.command_for('training.json')}` again."
            ) from None

    @classmethod
    def _from(cls, training: Mapping[str, Any], dataset: Mapping[str, Any]) -> Project:
        return cls(
            name=training["name"],
            recipe=training["recipe"],
            seed=dataset["seed"],
            output=training["output"],
            contract=Preprocessing.from_dict(dataset["preprocessing"]),
            class_names=tuple(dataset["class_names"]),
            source=dataset["source"],
            dataset_sha256=dataset["sha256"],
            baseline_sha256=training["baseline_sha256"],
        )

    @property
    def fine_tuning(self) -> Training:
        return RECIPES[self.recipe].qat if self.recipe else FINE_TUNING

    def load_data(self) -> tuple[Dataset, Split]:
        """The data set and its split, both checked against what was recorded; InputError when the data has changed."""
        dataset = load_dataset(self.source, self.contract.shape)
        if dataset.sha256 != self.dataset_sha256:
            raise InputError(f"The data at {self.source} has changed since the baseline was judged on it: start again in another workspace (-w).")
        return dataset, stratified_split(dataset.labels, self.seed)


def versions() -> dict[str, str]:
    """Of everything that takes part in making an artifact."""
    found = {}
    for name in _VERSIONED:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def dataset_facts(dataset: Dataset, split: Split, contract: Preprocessing) -> dict[str, Any]:
    """What `dataset.json` holds."""
    return {
        "schema": 1,
        "source": dataset.source if dataset.source == EMBEDDED else str(Path(dataset.source).resolve()),
        "sha256": dataset.sha256,
        "images": len(dataset.labels),
        "class_names": list(dataset.class_names),
        "label_counts": dataset.label_counts,
        "seed": split.seed,
        "split": {name: {"images": len(getattr(split, name)), "sha256": digest} for name, digest in split.sha256.items()},
        "preprocessing": contract.to_dict(),
    }
