"""A frozen baseline: all that a verdict needs of the baseline, in one small file without its images. A CI run judges by it without TensorFlow."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_runtime.arrays import read_npz
from edge_runtime.errors import InputError
from edge_runtime.preprocess import Preprocessing
from edgeproof.workspace import Workspace
from train.datasets import Dataset

SCHEMA = 1
SUFFIX = ".npz"
_HASH_BYTES = 16  # of the sha256: two of a million images share them with a probability of 1e-27
_REMEDY = "make one with `edgeproof parity --freeze FILE.npz`"


@dataclass(frozen=True)
class Frozen:
    """labels int64 [n], probabilities float32 [n, classes], hashes uint8 [n, 16]: one entry a judged image, in order."""

    name: str
    labels: np.ndarray
    probabilities: np.ndarray
    hashes: np.ndarray
    class_names: tuple[str, ...]
    contract: Preprocessing
    output: str  # what the baseline answers with: "logits" or "probabilities"
    margin_pp: float
    baseline_sha256: str

    def to_arrays(self) -> dict[str, np.ndarray]:
        facts = {
            "schema": SCHEMA,
            "name": self.name,
            "class_names": self.class_names,
            "preprocessing": self.contract.to_dict(),
            "output": self.output,
            "margin_pp": self.margin_pp,
            "baseline_sha256": self.baseline_sha256,
        }
        arrays = {"labels": self.labels, "baseline_probabilities": self.probabilities, "image_sha256": self.hashes}
        return {"facts": np.array(json.dumps(facts)), **arrays}

    @classmethod
    def load(cls, path: Path) -> Frozen:
        """InputError when the file is no frozen baseline, damaged, or of a newer edgeproof."""
        arrays = read_npz(path, _REMEDY)
        try:
            facts = json.loads(str(arrays["facts"]))
            if facts["schema"] > SCHEMA:
                raise InputError(f"{path} was frozen by a newer edgeproof (schema {facts['schema']}): upgrade this one.")
            frozen = cls(
                facts["name"],
                arrays["labels"].astype(np.int64, casting="safe"),
                arrays["baseline_probabilities"],
                arrays["image_sha256"],
                tuple(facts["class_names"]),
                Preprocessing.from_dict(facts["preprocessing"]),
                facts["output"],
                float(facts["margin_pp"]),
                facts["baseline_sha256"],
            )
            frozen._check()
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path} is no frozen baseline ({error}): {_REMEDY}.") from None
        return frozen

    def _check(self) -> None:
        images, classes = len(self.labels), len(self.class_names)
        if self.labels.shape != (images,) or self.hashes.shape != (images, _HASH_BYTES) or self.probabilities.shape != (images, classes):
            raise ValueError("its arrays do not fit together")
        if not images or self.labels.min() < 0 or self.labels.max() >= classes or not np.isfinite(self.probabilities).all():
            raise ValueError("its labels or probabilities are none")

    def find(self, dataset: Dataset) -> np.ndarray:
        """Where each frozen image is in a data set, int64 [n]: by content, so that order and further images do not matter.

        InputError saying how many are missing.
        """
        known = {digest: index for index, digest in enumerate(image_hashes(dataset.images))}
        found = [known.get(digest.tobytes()) for digest in self.hashes]
        missing = found.count(None)
        if missing:
            raise InputError(
                f"{missing:,} of the {len(found):,} images that the baseline was frozen with are not in {dataset.source}: give those very images "
                "(an .npz keeps them to the byte; another JPEG decoder or size changes them), or freeze the baseline again."
            )
        return np.array(found, np.int64)

    def relabelled(self, dataset: Dataset) -> int:
        """How many frozen images have another label in the data set."""
        pairs = set(zip(image_hashes(dataset.images), dataset.labels.tolist(), strict=True))
        return sum((digest.tobytes(), label) not in pairs for digest, label in zip(self.hashes, self.labels.tolist(), strict=True))


def freeze(workspace: Workspace, path: Path, margin_pp: float) -> int:
    """Write the baseline of a workspace to a file; returns its size in bytes."""
    training, dataset = workspace.read_json("training.json"), workspace.read_json("dataset.json")
    validation = workspace.read_arrays("validation.npz")
    frozen = Frozen(
        training["name"],
        validation["labels"],
        validation["baseline_probabilities"],
        np.stack([np.frombuffer(digest, np.uint8) for digest in image_hashes(validation["images"])]),
        tuple(dataset["class_names"]),
        Preprocessing.from_dict(dataset["preprocessing"]),
        training["output"],
        margin_pp,
        training["baseline_sha256"],
    )
    return Workspace(path.parent).write_arrays(path.name, frozen.to_arrays()).stat().st_size


def check_freezable(path: Path) -> None:
    """InputError for a path that no frozen baseline can be written to, before anything runs."""
    if path.is_dir() or not path.parent.is_dir():
        raise InputError(f"Cannot write {path}: give a file in a folder that exists with --freeze.")
    if path.suffix != SUFFIX:
        raise InputError(f"--freeze writes an {SUFFIX} file, got {path}.")


def image_hashes(images: np.ndarray) -> Iterable[bytes]:
    """One a picture of uint8 [n, H, W, C], of its size and pixels."""
    size = repr(images.shape[1:]).encode()
    return (hashlib.sha256(size + image.tobytes()).digest()[:_HASH_BYTES] for image in images)
