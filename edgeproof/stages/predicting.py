"""Use of the exported classifier: pictures, or Kaggle's test file. Needs no TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.matrix import Artifact, able_runtimes
from edge_runtime.classifier import Classifier
from edge_runtime.errors import InputError
from edge_runtime.interpreter import find_runtime
from edgeproof.console import Console
from edgeproof.stages.showing import summary
from edgeproof.workspace import Workspace


def load_classifier(workspace: Workspace, console: Console, model: Path | None, runtime: str) -> tuple[Classifier, str]:
    """(classifier, file name): the file named, or the workspace's artifact that would ship."""
    if model is not None:
        return Classifier.load(model, runtime), model.name
    chosen = _to_ship(workspace, console, runtime)
    return Classifier.load(chosen.path, runtime, assume=chosen.assume), chosen.path.name


def _to_ship(workspace: Workspace, console: Console, runtime: str) -> Artifact:
    """The artifact that parity recommends, if it runs on `runtime`; else the smallest that does, saying that it is not proved."""
    if runtime != "auto":
        find_runtime(runtime)
    able = [artifact for artifact in workspace.artifacts() if runtime == "auto" or able_runtimes(artifact, [runtime])]
    if not able:
        raise InputError(f"The workspace has no artifact for {runtime}: export one, or choose another --runtime.")
    if workspace.has("parity.json"):
        _, recommendation = summary(workspace, console)
        for artifact in able:
            if artifact.path.name == recommendation.artifact:
                return artifact
    smallest = min(able, key=lambda artifact: artifact.bytes)
    console.say(f"{smallest.path.name} is not what parity recommends, or parity has not been judged yet: see `edgeproof parity{workspace.option}`.")
    return smallest


def predict_images(classifier: Classifier, images: Sequence[str]) -> list[dict[str, Any]]:
    """One entry a picture: its name, label and probability. InputError for the first that cannot be read."""
    entries = []
    for image in images:
        prediction = classifier.predict_file(image)
        label = int(prediction.labels[0])
        entries.append({"image": image, "label": prediction.names[label], "probability": float(prediction.probabilities[0, label])})
    return entries


def predict_kaggle(classifier: Classifier, test_csv: Path, submission: Path, console: Console) -> int:
    """Write Kaggle's `ImageId,Label` for its test file; returns the number of images."""
    from train.kaggle import read_test_csv, submission_text

    if submission.is_dir() or not submission.parent.is_dir():
        raise InputError(f"Cannot write {submission}: give a file in a folder that exists with --out.")
    with console.progress(f"Reading {test_csv.name}"):
        images = read_test_csv(test_csv)
    with console.progress(f"Classifying {len(images):,} images"):
        labels = classifier.predict(images).labels
    Workspace(submission.parent).write_text(submission.name, submission_text(labels))
    return len(labels)
