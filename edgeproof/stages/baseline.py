"""Stage 1: a baseline, trained from a recipe or brought by the user."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_runtime.errors import InputError, first_line
from edge_runtime.preprocess import Preprocessing
from edgeproof.console import Console
from edgeproof.stages.keras_file import KerasFile
from edgeproof.stages.project import dataset_facts, versions
from edgeproof.workspace import Workspace, file_sha256
from train.datasets import Dataset, load_dataset
from train.ink import measure_ink
from train.overview import overview
from train.recipes import Recipe, find_recipe
from train.splits import Split, stratified_split

if TYPE_CHECKING:
    import numpy as np

    from train.fit import History


def train_baseline(workspace: Workspace, console: Console, *, recipe: str, source: str, epochs: int | None = None, seed: int = 0) -> dict[str, Any]:
    """Train a recipe on a data set. Nothing is written before training has ended."""
    chosen = find_recipe(recipe)
    _refuse_another_model(workspace, None)
    settings = replace(chosen.baseline, epochs=epochs) if epochs else chosen.baseline
    dataset = load_dataset(source)
    dataset.check_splittable()
    split = stratified_split(dataset.labels, seed)
    contract = replace(Preprocessing.named("unit", dataset.shape), ink=measure_ink(dataset.images))
    _introduce(console, dataset)
    with console.natives_silenced():
        from train.fit import fit

        with console.progress(f"Training {recipe}") as progress:
            model = _build(chosen, contract, len(dataset.class_names))
            history = fit(model, dataset, split, contract, settings, seed=seed, progress=progress)
        facts = {"name": recipe, "recipe": recipe, "model": None, "output": "logits", "settings": asdict(settings)}
        return _keep(workspace, console, model, dataset, split, contract, facts, history)


def _refuse_another_model(workspace: Workspace, model_path: Path | None) -> None:
    """A workspace keeps one model's way: work on another must not vanish because -w was forgotten. (A recipe may be trained again.)"""
    if not workspace.has("training.json"):
        return
    former = workspace.read_json("training.json")
    held = (former.get("model") or {}).get("sha256")
    given = file_sha256(model_path) if model_path is not None and model_path.is_file() else None
    if held != given:
        raise InputError(f"{workspace.path} already holds {former.get('name')}, made from something else: choose another folder with -w.")


def _introduce(console: Console, dataset: Dataset) -> None:
    """The overview in two lines: what there is, and how much of each class."""
    height, width, channels = dataset.shape
    console.say(f"{dataset.source}: {len(dataset.labels):,} images {height}×{width}×{channels}, {len(dataset.class_names)} classes")
    console.say(", ".join(f"{name}: {count:,}" for name, count in zip(dataset.class_names, dataset.label_counts, strict=True)))


def _build(recipe: Recipe, contract: Preprocessing, classes: int) -> Any:
    try:
        return recipe.build(contract.shape, classes)
    except ValueError as error:  # Keras: a convolution larger than what is left of the picture
        size = f"{contract.height}×{contract.width}"
        raise InputError(f"Recipe {recipe.name!r} cannot take pictures of {size} ({first_line(error)}).") from None


def adopt_baseline(
    workspace: Workspace, console: Console, *, model_path: Path, source: str, preprocess: str | None, logits: bool = False, seed: int = 0
) -> dict[str, Any]:
    """Take a user's trained model as the baseline, and judge it on the user's data."""
    _refuse_another_model(workspace, model_path)
    with console.natives_silenced():
        with console.progress(f"Reading {model_path.name} and {source}"):
            given = KerasFile.read(model_path, preprocess)
            dataset = given.load_data(source)
            dataset.check_splittable()
            split = stratified_split(dataset.labels, seed)
        _introduce(console, dataset)
        console.say(given.sentence)
        facts = {
            "name": model_path.stem,
            "recipe": None,
            "model": {"file": model_path.name, "sha256": file_sha256(model_path)},
            "output": "logits" if logits else given.output,
        }
        contract = replace(given.contract, ink=measure_ink(dataset.images))
        return _keep(workspace, console, given.model, dataset, split, contract, facts, None)


def _keep(
    workspace: Workspace,
    console: Console,
    model: Any,
    dataset: Dataset,
    split: Split,
    contract: Preprocessing,
    facts: dict[str, Any],
    history: History | None,
) -> dict[str, Any]:
    """Evaluate on the validation part and write everything the later stages read."""
    from train.evaluate import predict_probabilities
    from train.model_files import model_bytes

    images, labels = dataset.images[split.validation], dataset.labels[split.validation]
    with console.progress("Evaluating the baseline") as progress:
        probabilities = predict_probabilities(model, images, contract, progress)
    with console.progress("Drawing figures"):
        figures = _figures(dataset, labels, probabilities, history)
    baseline = model_bytes(model, ".keras")
    training = {
        "schema": 1,
        **facts,
        "seed": split.seed,
        "parameters": int(model.count_params()),
        "accuracy": float((probabilities.argmax(axis=1) == labels).mean()),
        "best_epoch": history.best_epoch if history else None,
        "seconds": history.seconds if history else None,
        "dataset_sha256": dataset.sha256,
        "versions": versions(),
    }
    with workspace.stage("train") as files:
        training["baseline_sha256"] = file_sha256(files.write_bytes("baseline.keras", baseline))
        files.write_json("dataset.json", {**dataset_facts(dataset, split, contract), "overview": overview(dataset).to_dict("records")})
        files.write_arrays("validation.npz", {"images": images, "labels": labels, "baseline_probabilities": probabilities})
        for name, picture in figures.items():
            files.write_bytes(f"figures/{name}.png", picture)
        if history:
            files.write_text("history.csv", _history_csv(history))
        files.write_json("training.json", training)
    return training


def _figures(dataset: Dataset, labels: np.ndarray, probabilities: np.ndarray, history: History | None) -> dict[str, bytes]:
    from train import figures
    from train.evaluate import confusion_matrix

    matrix = confusion_matrix(labels, probabilities.argmax(axis=1), len(dataset.class_names))
    pictures = {
        "samples": figures.samples(dataset),
        "label_counts": figures.label_counts(dataset),
        "confusion_matrix": figures.confusion(matrix, dataset.class_names),
    }
    return {**pictures, "learning_curves": figures.learning_curves(history)} if history else pictures


def _history_csv(history: History) -> str:
    import pandas as pd

    return pd.DataFrame(history.epochs).to_csv(index=False)
