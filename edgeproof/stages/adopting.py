"""A workspace of files that edgeproof did not make: a baseline and its exports, taken as they are, for parity, bench and dashboard to work on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.layers import KerasLayers
from benchmarks.matrix import able_runtimes
from edge_runtime.errors import InputError
from edge_runtime.interpreter import RUNTIMES, find_runtime
from edge_runtime.preprocess import Preprocessing
from edgeproof.console import Console
from edgeproof.stages.given_baseline import Given, baseline_sha256, read_baseline
from edgeproof.stages.model_file import ModelFile
from edgeproof.stages.project import versions
from edgeproof.workspace import Workspace
from train.datasets import EMBEDDED


def adopt(
    workspace: Workspace,
    console: Console,
    *,
    baseline: Path,
    exports: Sequence[Path],
    source: str,
    preprocess: str | None,
    runtimes: Sequence[str] = (),
) -> None:
    """Make `workspace` hold the baseline's answers to all images of `source`, and copies of the exports. Nothing is written before all fit.

    runtimes: those that somebody named, and which therefore must load every export that is for them.
    """
    _refuse_other_work(workspace, baseline_sha256(baseline))
    _refuse_to_replace(workspace, (baseline, *exports, Path(source)))
    if preprocess:
        Preprocessing.named(preprocess, (1, 1, 1))  # an unknown name is a mistake whether or not a file needs it
    models = _read(exports)
    _refuse_unread(models, runtimes)
    given = read_baseline(baseline, source, preprocess, console)
    contracts = [_fitting(model, given, preprocess) for model in models]
    for model, contract in zip(models, contracts, strict=True):
        if assumed := model.assumption(contract):
            console.say(assumed)
    _keep(workspace, given, models, contracts, runtimes)


def _refuse_other_work(workspace: Workspace, sha256: str) -> None:
    """Only what was adopted with the same baseline may be replaced: neither trained models nor a user's files may vanish with a wrong -w."""
    if not workspace.has("training.json"):
        for place in workspace.replaceable:
            if place.exists():
                raise InputError(f"{place} is not edgeproof's, and would be replaced: choose another folder with -w.")
        return
    former = workspace.read_json("training.json")
    if not workspace.adopted or former.get("baseline_sha256") != sha256:
        raise InputError(f"{workspace.path} already holds {former.get('name')}, made from something else: choose another folder with -w.")


def _refuse_to_replace(workspace: Workspace, given: Sequence[Path]) -> None:
    """What is judged, and by what, must outlive the judgement."""
    places = [place.resolve() for place in workspace.replaceable]
    for path in given:
        if any(path.resolve().is_relative_to(place) for place in places):
            raise InputError(f"{path} lies where {workspace.path} keeps its own, and would be replaced: choose another folder with -w.")


def _refuse_unread(models: Sequence[ModelFile], runtimes: Sequence[str]) -> None:
    """No export may be left out because none of the runtimes that somebody named reads such files."""
    for name in runtimes:
        find_runtime(name)
    for model in models if runtimes else ():
        if not any(RUNTIMES[name].suffix == model.path.suffix for name in runtimes):
            readers = ", ".join(name for name, runtime in RUNTIMES.items() if runtime.suffix == model.path.suffix)
            raise InputError(f"{model.path} would not be judged on {', '.join(runtimes)}: name {readers} with --runtime, too.")


def _read(exports: Sequence[Path]) -> list[ModelFile]:
    models = [ModelFile.read(path) for path in exports]
    for name, count in Counter(model.path.name for model in models).items():
        if count > 1:
            raise InputError(f"{count} exports are called {name}: a report could not tell them apart, rename one.")
    return models


def _fitting(model: ModelFile, given: Given, preprocess: str | None) -> Preprocessing:
    """What pixels an export takes; InputError unless it answers the same question as the baseline."""
    model.check_classes(given.class_names)
    contract = model.contract(preprocess, given.contract)
    if contract.shape != given.contract.shape:
        wanted, got = ("×".join(map(str, shape)) for shape in (given.contract.shape, contract.shape))
        raise InputError(f"{model.path} takes pictures of {got}, the baseline {wanted}.")
    return contract


def _keep(workspace: Workspace, given: Given, models: Sequence[ModelFile], contracts: Sequence[Preprocessing], required: Sequence[str]) -> None:
    dataset, inputs = _dataset_facts(given), {"dataset_sha256": given.dataset.sha256, "baseline_sha256": given.sha256}
    artifacts = {}
    for model, contract, format in zip(models, contracts, _formats(models), strict=True):
        artifact = model.artifact(model.assume(contract, given.class_names))
        artifacts[model.path.name] = {
            "format": format,
            "source": artifact.source,
            "source_sha256": given.sha256,
            "sha256": artifact.sha256,
            "bytes": artifact.bytes,
            "runtimes": sorted({*artifact.runtimes, *able_runtimes(artifact, required)}) if required else list(artifact.runtimes),
            "refused": model.refused,
            "assume": artifact.assume,
            "audit": model.audit.to_dict(),
        }
    arrays = {"images": given.images, "labels": given.labels, "baseline_probabilities": given.probabilities}
    with workspace.stage("train") as files:
        files.write_json("dataset.json", dataset)
        files.write_arrays("validation.npz", arrays)
        if given.layers.outputs:
            files.write_arrays("layers.npz", _layers(given.layers))
        for model in models:
            files.write_bytes(f"artifacts/{model.path.name}", model.content)
        manifest = {"schema": 1, "name": given.name, "recipe": None, "seed": None, "inputs": inputs, "artifacts": artifacts, "versions": versions()}
        files.write_json("artifacts/manifest.json", manifest)
        files.write_json("training.json", _training_facts(given))


def _layers(layers: KerasLayers) -> dict[str, np.ndarray]:
    parts = {"baseline": layers.outputs, "folded": layers.folded}
    return {f"{stage}/{name}": values for stage, outputs in parts.items() for name, values in outputs.items()}


def _formats(models: Sequence[ModelFile]) -> list[str]:
    """The format of each; with its file's name where two have the same, for reports name rows by their format."""
    counts = Counter(model.format for model in models)
    return [model.format if counts[model.format] == 1 else f"{model.format} ({model.path.stem})" for model in models]


def _dataset_facts(given: Given) -> dict[str, Any]:
    """`dataset.json` as the pipeline writes it, but that every image is there to judge with."""
    source = given.dataset.source
    return {
        "schema": 1,
        "source": source if source == EMBEDDED else str(Path(source).resolve()),
        "sha256": given.dataset.sha256,
        "images": len(given.labels),
        "class_names": list(given.class_names),
        "label_counts": np.bincount(given.labels, minlength=len(given.class_names)).tolist(),
        "seed": None,
        "split": {},
        "matched": given.margin_pp is not None,  # with a frozen baseline: these are the images and labels that it was frozen with
        "preprocessing": given.contract.to_dict(),
    }


def _training_facts(given: Given) -> dict[str, Any]:
    return {
        "schema": 1,
        "name": given.name,
        "recipe": None,
        "model": {"file": given.file, "sha256": given.sha256},
        "output": given.output,
        "adopted": True,
        "margin_pp": given.margin_pp,
        "settings": None,
        "seed": None,
        "parameters": given.parameters,
        "fused_layers": dict(given.layers.fused),
        "accuracy": float((given.probabilities.argmax(axis=1) == given.labels).mean()),
        "best_epoch": None,
        "seconds": None,
        "dataset_sha256": given.dataset.sha256,
        "versions": versions(),
        "baseline_sha256": given.sha256,
    }
