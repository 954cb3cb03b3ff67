"""Phone photos of digits through the steps that bring a photo to the contract: how many are still recognized?"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edge_runtime.classifier import Classifier
from edge_runtime.errors import InputError
from edge_runtime.pictures import decode_steps
from edge_runtime.preprocess import Preprocessing
from edgeproof.workspace import Workspace
from evidence.findings import Finding, Places
from evidence.phone import PERTURBATIONS, photograph
from train.ink import measure_ink

PHOTOS = 200  # of each set of perturbations
SHARE = 0.97
CASES: dict[str, tuple[str, ...]] = {"ink on paper": (), **{name: (name,) for name in PERTURBATIONS}, "all at once": PERTURBATIONS}


def prove(places: Places) -> list[Finding]:
    return recognized(places.workspaces["compact"], CASES, places.command("photos"))


def recognized(workspace: Workspace, cases: dict[str, tuple[str, ...]], command: str, photos: int = PHOTOS) -> list[Finding]:
    """One finding for each set of perturbations, of the workspace's int8 file on photos of the same validation images."""
    validation = workspace.read_arrays("validation.npz")
    artifact = next(found for found in workspace.artifacts() if found.format == "tflite-int8")
    classifier = Classifier.load(artifact.path, "ai-edge-litert")
    contract = replace(classifier.metadata.preprocessing, ink=measure_ink(validation["images"]))
    chosen = np.random.default_rng(0).choice(len(validation["labels"]), photos, replace=False)
    images, labels = validation["images"][chosen], validation["labels"][chosen]
    direct = float((classifier.predict(images).labels == labels).mean())
    return [
        _finding(name, photographed(classifier, contract, images, labels, perturbations), direct, artifact.path.name, photos, command)
        for name, perturbations in cases.items()
    ]


def photographed(classifier: Classifier, contract: Preprocessing, images: np.ndarray, labels: np.ndarray, perturbations: Sequence[str]) -> float:
    """The share of the images [N, H, W, 1] that is recognized on a photo; a photo on which nothing is found is not."""
    rng = np.random.default_rng(0)
    right = 0
    for image, label in zip(images, labels, strict=True):
        photo = io.BytesIO(photograph(image[..., 0], rng, perturbations))
        try:
            steps = decode_steps(photo, "photo", contract, array=False)
        except InputError:
            continue
        right += int(classifier.predict(steps[-1].pixels[np.newaxis]).labels[0] == label)
    return right / len(images)


def _finding(name: str, share: float, direct: float, artifact: str, photos: int, command: str) -> Finding:
    return Finding(
        f"{artifact} on {photos} photos of validation images, 500 to 1,600 pixels wide: {name}",
        f"≥ {100 * SHARE:.0f} %",
        f"{100 * share:.1f} % ({100 * direct:.1f} % on the images themselves)",
        share >= SHARE,
        command,
    )
