"""Stage 2: fold every BatchNorm away, then fine-tune with fake quantization."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, replace
from typing import Any

from edgeproof.console import Console
from edgeproof.stages.project import Project, versions
from edgeproof.stages.reference_layers import reference_layers
from edgeproof.workspace import Workspace


def fold_and_fine_tune(workspace: Workspace, console: Console, *, epochs: int | None = None) -> dict[str, Any]:
    """baseline.keras -> folded.keras and qat.h5. ModelError, with the folded model kept, when the network cannot be quantized."""
    fold_baseline(workspace, console)
    return fine_tune(workspace, console, epochs=epochs)


def fold_baseline(workspace: Workspace, console: Console) -> dict[str, Any]:
    """baseline.keras -> folded.keras, with what it answers on the validation images and what the quantizer would refuse."""
    project = Project.of(workspace)
    with console.natives_silenced():
        from train.evaluate import predict_probabilities
        from train.fold import check_fold, fold
        from train.model_files import load_model, model_bytes
        from train.qat import preflight

        dataset, split = project.load_data()
        with console.progress("Folding BatchNorm"):
            baseline = load_model(workspace.require("baseline.keras"))
            folded = fold(baseline)
            difference = check_fold(baseline, folded.model, dataset.images[split.calibration], project.contract)
            validation = workspace.read_arrays("validation.npz")
            validation["folded_probabilities"] = predict_probabilities(folded.model, validation["images"], project.contract)
        layers = reference_layers(folded.model, "folded", validation["images"], project.contract)
        content = model_bytes(folded.model, ".keras")
        refused = preflight(folded.model)
    facts = {
        "schema": 1,
        "fold_steps": list(folded.steps),
        "fold_difference": difference,
        "accuracy": _accuracy(validation, "folded"),
        "not_quantizable": refused,
        "baseline_sha256": project.baseline_sha256,
        "folded_sha256": hashlib.sha256(content).hexdigest(),
        "versions": versions(),
    }
    with workspace.stage("fold") as staged:
        staged.write_bytes("folded.keras", content)
        staged.write_arrays("validation.npz", validation)
        staged.write_arrays("layers.npz", layers)
        staged.write_json("folded.json", facts)
    return facts


def fine_tune(workspace: Workspace, console: Console, *, epochs: int | None = None) -> dict[str, Any]:
    """folded.keras -> qat.h5, with what it answers on the validation images. ModelError naming every layer that cannot be quantized."""
    project, folded_facts = Project.of(workspace), workspace.read_json("folded.json")
    settings = replace(project.fine_tuning, epochs=epochs, patience=epochs) if epochs else project.fine_tuning
    with console.natives_silenced():
        from train.evaluate import predict_probabilities
        from train.fit import fit
        from train.model_files import load_model, model_bytes
        from train.qat import activation_ranges, quantize_aware

        dataset, split = project.load_data()
        with console.progress("Quantization-aware fine-tuning") as progress:
            folded = load_model(workspace.require("folded.keras"))
            model = quantize_aware(folded, dataset.images[split.calibration], project.contract)
            # The baseline's own answers are the lesson: against the labels, it would become another model of the same accuracy.
            history = fit(model, dataset, split, project.contract, settings, seed=project.seed, teacher=folded, progress=progress)
        validation = workspace.read_arrays("validation.npz")
        with console.progress("Evaluating the QAT model") as progress:
            validation["qat_probabilities"] = predict_probabilities(model, validation["images"], project.contract, progress)
        layers = {**workspace.read_arrays("layers.npz"), **reference_layers(model, "qat", validation["images"], project.contract)}
        content = model_bytes(model, ".h5")
    facts = {
        "schema": 1,
        "settings": asdict(settings),
        "fold_steps": folded_facts["fold_steps"],
        "fold_difference": folded_facts["fold_difference"],
        "activation_ranges": activation_ranges(model),
        "best_epoch": history.best_epoch,
        "history": list(history.epochs),
        "folded_accuracy": folded_facts["accuracy"],
        "accuracy": _accuracy(validation, "qat"),
        "baseline_sha256": project.baseline_sha256,
        "folded_sha256": folded_facts["folded_sha256"],
        "qat_sha256": hashlib.sha256(content).hexdigest(),
        "versions": versions(),
    }
    with workspace.stage("qat") as staged:
        staged.write_bytes("qat.h5", content)
        staged.write_arrays("validation.npz", validation)
        staged.write_arrays("layers.npz", layers)
        staged.write_json("qat.json", facts)
    return facts


def why_not_quantizable(workspace: Workspace) -> str | None:
    """The quantizer's objections to the folded model in one sentence; None when it has none."""
    refused = workspace.read_json("folded.json")["not_quantizable"]
    return f"{len(refused)} layer(s) cannot be quantized: {'; '.join(refused)}. (tflite-int8-ptq does without this training.)" if refused else None


def _accuracy(validation: dict[str, Any], stage: str) -> float:
    return float((validation[f"{stage}_probabilities"].argmax(axis=1) == validation["labels"]).mean())
