"""Stage 2: fold every BatchNorm away, then fine-tune with fake quantization."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, replace
from typing import Any

from edgeproof.console import Console
from edgeproof.stages.project import Project, versions
from edgeproof.workspace import Workspace

CHECKED_IMAGES = 64  # in layers.npz; and folding is checked on the calibration images


def fold_and_fine_tune(workspace: Workspace, console: Console, *, epochs: int | None = None) -> dict[str, Any]:
    """baseline.keras -> folded.keras and qat.h5, with what each answers on the validation images."""
    project = Project.of(workspace)
    settings = replace(project.fine_tuning, epochs=epochs, patience=epochs) if epochs else project.fine_tuning
    with console.natives_silenced():
        from train.evaluate import layer_outputs, predict_probabilities
        from train.fit import fit
        from train.fold import check_fold, fold
        from train.model_files import load_model, model_bytes
        from train.qat import activation_ranges, quantize_aware

        dataset, split = project.load_data()
        with console.progress("Folding BatchNorm"):
            baseline = load_model(workspace.require("baseline.keras"))
            folded = fold(baseline)
            difference = check_fold(baseline, folded.model, dataset.images[split.calibration], project.contract)
        with console.progress("Quantization-aware fine-tuning") as progress:
            model = quantize_aware(folded.model, dataset.images[split.calibration], project.contract)
            history = fit(model, dataset, split, project.contract, settings, seed=project.seed, progress=progress)
        validation = workspace.read_arrays("validation.npz")
        with console.progress("Evaluating the folded and the QAT model") as progress:
            validation["folded_probabilities"] = predict_probabilities(folded.model, validation["images"], project.contract)
            validation["qat_probabilities"] = predict_probabilities(model, validation["images"], project.contract, progress)
        layers = layer_outputs(model, validation["images"][:CHECKED_IMAGES], project.contract)
        files = {"folded.keras": model_bytes(folded.model, ".keras"), "qat.h5": model_bytes(model, ".h5")}
    facts = {
        "schema": 1,
        "settings": asdict(settings),
        "fold_steps": list(folded.steps),
        "fold_difference": difference,
        "activation_ranges": activation_ranges(model),
        "best_epoch": history.best_epoch,
        "history": list(history.epochs),
        "folded_accuracy": _accuracy(validation, "folded"),
        "accuracy": _accuracy(validation, "qat"),
        "baseline_sha256": project.baseline_sha256,
        "folded_sha256": hashlib.sha256(files["folded.keras"]).hexdigest(),
        "qat_sha256": hashlib.sha256(files["qat.h5"]).hexdigest(),
        "versions": versions(),
    }
    with workspace.stage("qat") as staged:
        for name, content in files.items():
            staged.write_bytes(name, content)
        staged.write_arrays("validation.npz", validation)
        staged.write_arrays("layers.npz", layers)
        staged.write_json("qat.json", facts)
    return facts


def _accuracy(validation: dict[str, Any], stage: str) -> float:
    return float((validation[f"{stage}_probabilities"].argmax(axis=1) == validation["labels"]).mean())
