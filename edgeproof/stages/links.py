"""The links of a workspace's chain, data to artifacts: what must be true of each, verified from the bytes.

Each check returns what it found, raises InputError for what is broken, and `Unseen` for what cannot be verified on this machine.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from edge_runtime.errors import InputError
from edge_runtime.metadata import ModelMetadata
from edge_runtime.preprocess import Preprocessing
from edgeproof.stages.freezing import image_hashes
from edgeproof.workspace import Workspace, file_sha256
from export.calibration import Calibration
from export.embed import embedded
from train.datasets import EMBEDDED, Dataset, load_dataset
from train.splits import Split, stratified_split

MANIFEST = "artifacts/manifest.json"
_STAGE_FILES = {"folded": "folded.json", "qat": "qat.json"}
_ACCURACY_ROUNDING = 1e-12


class Unseen(Exception):
    """A link that cannot be verified here; the message says why."""


class Chain:
    """One workspace: its records, and the data and the split once their links are found whole."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._data: Dataset | None = None
        self._split: Split | None = None

    @cached_property
    def dataset(self) -> dict[str, Any]:
        return self.workspace.read_json("dataset.json")

    @cached_property
    def training(self) -> dict[str, Any]:
        return self.workspace.read_json("training.json")

    @cached_property
    def manifest(self) -> dict[str, Any]:
        return self.workspace.read_json(MANIFEST)

    @cached_property
    def report(self) -> dict[str, Any]:
        return self.workspace.read_json("parity.json")

    @cached_property
    def validation(self) -> dict[str, np.ndarray]:
        return self.workspace.read_arrays("validation.npz")

    @property
    def data(self) -> Dataset:
        if self._data is None:
            raise Unseen("the data is not here to compare with")
        return self._data

    @property
    def split(self) -> Split:
        if self._split is None:
            raise Unseen("the split could not be recomputed")
        return self._split

    @property
    def artifacts(self) -> dict[str, dict[str, Any]]:
        """What the manifest lists; nothing where it cannot be read, which is `check_inputs`' to tell."""
        try:
            return dict(self.manifest["artifacts"])
        except (InputError, KeyError, TypeError, ValueError):
            return {}

    def expects(self, stage: str) -> bool:
        """Whether a stage has run here: its record is there, or the manifest names what it made."""
        named = self.workspace.has(MANIFEST) and bool(self.artifacts) and f"{stage}_sha256" in self.manifest.get("inputs", {})
        return named or self.workspace.has(_STAGE_FILES[stage])

    def hash_of(self, stage: str) -> str:
        """The sha256 that a stage's record states of the model it made: "baseline", "folded" or "qat"."""
        record = self.training if stage == "baseline" else self.workspace.read_json(_STAGE_FILES[stage])
        return str(record[f"{stage}_sha256"])

    def broken(self, fault: str, made_by: str) -> InputError:
        return InputError(f"{fault}: run `{self.workspace.command_for(made_by)}` again.")

    def check_file(self, name: str, sha256: str, record: str) -> None:
        """A file is there, and is the one whose sha256 a record states."""
        path = self.workspace / name
        if not path.is_file():
            raise self.broken(f"{path.name} is gone", record)
        if file_sha256(path) != sha256:
            raise self.broken(f"{path.name} is not the file that {Path(record).name} was written with", record)

    def check_accuracy(self, stage: str, stated: float | None, record: str) -> None:
        """The probabilities that stand for a stage in every verdict give the accuracy that its record states."""
        answered = self.validation[f"{stage}_probabilities"].argmax(axis=1)
        found = float((answered == self.validation["labels"]).mean())
        if stated is not None and abs(found - stated) > _ACCURACY_ROUNDING:
            raise self.broken(f"validation.npz: {stage}_probabilities give an accuracy of {found:.4%}, {record} says {stated:.4%}", record)

    def check_data(self) -> str:
        """The source, read again, holds the very images, labels and classes that were recorded."""
        source = self.dataset.get("source")
        if source is None or (source != EMBEDDED and not Path(source).exists()):
            raise Unseen(f"the data is no longer at {source}" if source else "dataset.json names no source")
        dataset = load_dataset(source, Preprocessing.from_dict(self.dataset["preprocessing"]).shape)
        if dataset.sha256 != self.dataset["sha256"]:
            raise InputError(f"the data at {source} is not what the baseline was judged on: start again in another workspace (-w).")
        own = not self.dataset.get("matched")  # else classes and labels are those that the baseline was frozen with
        if own and (list(dataset.class_names) != self.dataset["class_names"] or dataset.label_counts != self.dataset["label_counts"]):
            raise InputError(f"the classes at {source} are not those of dataset.json: start again in another workspace (-w).")
        self._data = dataset
        return f"{source}, {len(dataset.labels):,} images, sha256 {dataset.sha256[:12]}"

    def check_split(self) -> str:
        """The seed gives the four recorded parts again. (That they are disjoint is checked where they are made.)"""
        seed, recorded = self.dataset["seed"], self.dataset.get("split")
        if not recorded:
            return "none was made: every image is for the verdict"
        split = stratified_split(self.data.labels, seed)
        for part, digest in split.sha256.items():
            if recorded[part] != {"images": len(getattr(split, part)), "sha256": digest}:
                raise self.broken(f"seed {seed} gives another {part} part than dataset.json states", "dataset.json")
        self._split = split
        parts = ", ".join(f"{len(getattr(split, part)):,} {part}" for part in recorded)
        return f"seed {seed} gives {parts} again; calibration and validation share no image"

    def check_validation(self) -> str:
        """validation.npz holds the data set's validation part, nothing else; of a frozen baseline, images that all are in the data set."""
        if self.dataset.get("matched"):
            strange = set(image_hashes(self.validation["images"])) - set(image_hashes(self.data.images))
            if strange:
                raise self.broken(f"{len(strange):,} images of validation.npz are not in the data", "validation.npz")
            return f"validation.npz holds the {len(self.validation['labels']):,} images that the baseline was frozen with"
        part = self.split.validation if self.dataset.get("split") else np.arange(len(self.data.labels))
        for name in ("images", "labels"):
            if not np.array_equal(self.validation[name], getattr(self.data, name)[part]):
                raise self.broken(f"the {name} of validation.npz are not the validation part of the data", "validation.npz")
        return f"validation.npz holds these {len(part):,} images and labels"

    def check_baseline(self) -> str:
        training = self.training
        if training["dataset_sha256"] != self.dataset["sha256"] or training.get("seed", self.dataset["seed"]) != self.dataset["seed"]:
            raise self.broken("training.json names other data or another seed than dataset.json", "training.json")
        kept = self.workspace.has("baseline.keras") or training.get("recipe") is not None or self.workspace.has("folded.json")
        if kept:  # a stranger's baseline may stay where it is
            self.check_file("baseline.keras", training["baseline_sha256"], "training.json")
        self.check_accuracy("baseline", training.get("accuracy"), "training.json")
        if not kept:
            raise Unseen(f"{training['name']} is not kept in the workspace")
        return f"{training['name']}, baseline.keras, sha256 {training['baseline_sha256'][:12]}"

    def check_stage(self, stage: str, file: str, sources: tuple[str, ...]) -> str:
        """A model made from others: they are those of this workspace, and the file is the one that was made."""
        name = _STAGE_FILES[stage]
        record = self.workspace.read_json(name)
        for source in sources:
            if record[f"{source}_sha256"] != self.hash_of(source):
                raise self.broken(f"{name} was made from another {source} model", name)
        self.check_file(file, self.hash_of(stage), name)
        self.check_accuracy(stage, record.get("accuracy"), name)
        return f"{file}, sha256 {self.hash_of(stage)[:12]}"

    def check_inputs(self) -> str:
        """The manifest was written over this data and these models."""
        inputs = self.manifest["inputs"]
        for name, digest in inputs.items():
            stage = name.removesuffix("_sha256")
            if digest != (self.dataset["sha256"] if stage == "dataset" else self.hash_of(stage)):
                raise self.broken(f"manifest.json was written over another {stage}", MANIFEST)
        if {"dataset_sha256", "baseline_sha256"} - set(inputs):
            raise self.broken("manifest.json does not name the data and the baseline", MANIFEST)
        return "manifest.json names " + ", ".join(name.removesuffix("_sha256") for name in inputs)

    def check_calibration(self) -> str:
        """The converter saw the split's calibration images, pixel for pixel."""
        stated = self.manifest["calibration"]
        indices = np.array(stated["indices"], np.int64)
        if hashlib.sha256(indices.astype("<i8").tobytes()).hexdigest() != self.dataset["split"]["calibration"]["sha256"]:
            raise self.broken("the calibration indices of manifest.json are not the split's calibration part", MANIFEST)
        if Calibration.choose(self.data.images, indices, self.split.validation).sha256 != stated["sha256"]:
            raise self.broken("the calibration images have other pixels than manifest.json states", MANIFEST)
        return f"{len(indices):,} training images, sha256 {stated['sha256'][:12]}"

    def check_artifact(self, name: str) -> str:
        """One exported file: its bytes, the model it came from, and what it says of both inside itself."""
        facts, path = self.manifest["artifacts"][name], self.workspace / "artifacts" / name
        if not path.is_file():
            raise self.broken(f"{name} is gone", MANIFEST)
        if file_sha256(path) != facts["sha256"]:
            raise self.broken(f"{name} is not the file that was exported", MANIFEST)
        if facts.get("source_sha256", self.hash_of(facts["source"])) != self.hash_of(facts["source"]):
            raise self.broken(f"{name} was made from another {facts['source']} model", MANIFEST)
        if facts["source"] not in _STAGE_FILES:
            return f"{name}, sha256 {facts['sha256'][:12]}; made elsewhere"
        metadata = embedded(path.read_bytes())
        if metadata is None:
            raise self.broken(f"{name} carries no metadata", MANIFEST)
        self._check_metadata(name, facts, metadata)
        return f"{name}, sha256 {facts['sha256'][:12]}"

    def _check_metadata(self, name: str, facts: dict[str, Any], metadata: ModelMetadata) -> None:
        lineage = {"dataset": self.dataset["sha256"], "baseline": self.hash_of("baseline"), facts["source"]: self.hash_of(facts["source"])}
        expected = {
            "lineage": lineage,
            "name": self.training["name"],
            "format": facts["format"],
            "class_names": tuple(self.dataset["class_names"]),
            "preprocessing": Preprocessing.from_dict(self.dataset["preprocessing"]),
            "output": self.training["output"],
        }
        for field, value in expected.items():
            if getattr(metadata, field) != value:
                raise self.broken(f"{name} states another {field} inside itself than the workspace does", MANIFEST)

    def check_golden(self) -> str:
        golden = self.manifest["golden"]
        self.check_file(f"artifacts/{golden['file']}", golden["sha256"], MANIFEST)
        return f"{golden['file']}, sha256 {golden['sha256'][:12]}"
