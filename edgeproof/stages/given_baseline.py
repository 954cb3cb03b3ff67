"""The baseline of exports that edgeproof did not make: a Keras model, another export, or a frozen one. Only the first needs TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from benchmarks.layers import KerasLayers
from benchmarks.matrix import Cell, able_runtimes, collect
from benchmarks.targets import find_target
from edge_runtime.errors import InputError
from edge_runtime.preprocess import Preprocessing
from edgeproof.console import Console
from edgeproof.stages.freezing import SUFFIX, Frozen
from edgeproof.stages.keras_file import KerasFile
from edgeproof.stages.model_file import ModelFile
from edgeproof.stages.reference_layers import baseline_layers
from edgeproof.workspace import file_sha256
from train.datasets import Dataset, load_dataset


@dataclass(frozen=True)
class Given:
    """A baseline with its answers: images uint8 [n, H, W, C], labels int64 [n], probabilities float32 [n, classes]."""

    name: str
    file: str
    sha256: str  # of the model, also where it was frozen
    contract: Preprocessing
    class_names: tuple[str, ...]
    output: str
    parameters: int | None  # where known
    margin_pp: float | None  # that it was frozen with
    dataset: Dataset
    images: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray
    layers: KerasLayers = field(default_factory=lambda: KerasLayers({}))  # of a Keras model


def read_baseline(path: Path, source: str, preprocess: str | None, console: Console) -> Given:
    """Have the baseline answer all images of `source`, or match them with those that it was frozen with. InputError, ModelError."""
    return _READERS[path.suffix](path, source, preprocess, console)


def baseline_sha256(path: Path) -> str:
    """The identity of the model behind a baseline file; InputError when there is no such file, or it is of no kind that can be a baseline."""
    if path.suffix not in _READERS:
        raise InputError(f"Cannot take {path} as the baseline: give a {', '.join(_READERS)} file.")
    if not path.is_file():
        raise InputError(f"No such baseline: {path}.")
    return Frozen.load(path).baseline_sha256 if path.suffix == SUFFIX else file_sha256(path)


def _keras(path: Path, source: str, preprocess: str | None, console: Console) -> Given:
    with console.natives_silenced():
        from train.evaluate import predict_probabilities

        with console.progress(f"Reading {path.name} and {source}"):
            given = KerasFile.read(path, preprocess)
            dataset = given.load_data(source)
        console.say(given.sentence)
        with console.progress("Evaluating the baseline") as progress:
            probabilities = predict_probabilities(given.model, dataset.images, given.contract, progress)
        layers = baseline_layers(given.model, dataset.images, given.contract)
        answered = _given(path, given.contract, given.output, int(given.model.count_params()), dataset, probabilities)
    return replace(answered, layers=layers)


def _exported(path: Path, source: str, preprocess: str | None, console: Console) -> Given:
    model = ModelFile.read(path)
    contract = model.contract(preprocess, None)
    with console.progress(f"Reading {source}"):
        dataset = load_dataset(source, contract.shape)
    model.check_classes(dataset.class_names)
    if assumed := model.assumption(contract):
        console.say(assumed)
    artifact, reason = model.artifact(model.assume(contract, dataset.class_names)), ""
    for runtime in able_runtimes(artifact):
        with console.progress(f"Evaluating the baseline on {runtime}") as progress:
            outputs = collect([Cell(artifact, runtime, "default", None)], dataset.images, find_target("local"), progress=progress)[0]
        if outputs.raw is not None:
            if not np.isfinite(outputs.raw).all():
                raise InputError(f"{path} answers with NaN or infinity on {runtime}: it cannot be a baseline.")
            return _given(path, contract, outputs.output, None, dataset, outputs.probabilities)
        reason = reason or outputs.reason
    raise InputError(f"The baseline {path} runs on no runtime here: {reason}")


def _frozen(path: Path, source: str, preprocess: str | None, console: Console) -> Given:
    frozen = Frozen.load(path)
    with console.progress(f"Reading {source}"):
        dataset = load_dataset(source, frozen.contract.shape)
        found = frozen.find(dataset)
    others, relabelled = len(dataset.labels) - len(np.unique(found)), frozen.relabelled(dataset)
    if others:
        console.say(f"{others:,} further images of {source} are not part of the frozen baseline: left out.")
    if relabelled:
        console.say(f"{relabelled:,} images have another label in {source}: judged by the frozen labels.")
    return Given(
        name=frozen.name,
        file=path.name,
        sha256=frozen.baseline_sha256,
        contract=frozen.contract,
        class_names=frozen.class_names,
        output=frozen.output,
        parameters=None,
        margin_pp=frozen.margin_pp,
        dataset=dataset,
        images=dataset.images[found],
        labels=frozen.labels,
        probabilities=frozen.probabilities,
    )


_READERS: dict[str, Callable[[Path, str, str | None, Console], Given]] = {
    ".keras": _keras,
    ".h5": _keras,
    ".tflite": _exported,
    ".onnx": _exported,
    SUFFIX: _frozen,
}


def _given(path: Path, contract: Preprocessing, output: str, parameters: int | None, dataset: Dataset, probabilities: np.ndarray) -> Given:
    """A baseline that has just answered every image of a data set."""
    return Given(
        name=path.stem,
        file=path.name,
        sha256=file_sha256(path),
        contract=contract,
        class_names=dataset.class_names,
        output=output,
        parameters=parameters,
        margin_pp=None,
        dataset=dataset,
        images=dataset.images,
        labels=dataset.labels,
        probabilities=probabilities,
    )
