"""Stage 3: artifacts, each audited and opened on every runtime that it claims before it is kept."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge_runtime.errors import EdgeproofError, ModelError, RuntimeMissingError
from edge_runtime.golden import GoldenVectors, choose_golden
from edge_runtime.metadata import ModelMetadata
from edge_runtime.worker import run_in_subprocess
from edgeproof.console import Console
from edgeproof.stages.project import Project, versions
from edgeproof.workspace import Workspace, file_sha256
from export.audit import Audit, audit
from export.calibration import Calibration
from export.formats import FORMATS, Format, Sources


def export_formats(workspace: Workspace, console: Console, formats: Sequence[Format]) -> dict[str, Any]:
    """Export each format into `artifacts/`. One that fails is an entry under "failed" with its reason, not the end of the others."""
    project = Project.of(workspace)
    qat = workspace.read_json("qat.json")
    dataset, split = project.load_data()
    calibration = Calibration.choose(dataset.images, split.calibration, split.validation)
    contents: dict[str, bytes] = {}
    facts: dict[str, dict[str, Any]] = {}
    failed: dict[str, str] = {}
    outputs: dict[str, np.ndarray] = {}
    validation = workspace.read_arrays("validation.npz")
    golden = choose_golden(validation["baseline_probabilities"], validation["labels"])
    with console.natives_silenced(), console.progress("Exporting") as progress:
        sources = _load(workspace, project, qat, calibration)
        for index, format in enumerate(formats):
            progress(index, len(formats), format.name)
            name = f"{project.name}-{format.name}{format.suffix}"
            try:
                content = _embed(format, format.convert(sources), _metadata(project, format, qat))
                found = _audited(format, content)
                tried, outputs[name] = _try(format, name, content, validation["images"][golden])
            except EdgeproofError as error:
                failed[format.name] = str(error)
                continue
            contents[name] = content
            facts[name] = _facts(format, content, found, tried, qat)
    if contents:
        _keep(workspace, project, contents, facts, calibration, GoldenVectors(validation["images"][golden], validation["labels"][golden], outputs))
    return {"artifacts": facts, "failed": failed}


def _load(workspace: Workspace, project: Project, qat: dict[str, Any], calibration: Calibration) -> Sources:
    from train.model_files import load_model
    from train.qat import float_twin, load_qat

    folded, trained = load_model(workspace.require("folded.keras")), load_qat(workspace.require("qat.h5"))
    return Sources(
        folded=folded,
        qat=trained,
        float_twin=float_twin(trained, folded),
        ranges=qat["activation_ranges"],
        calibration=calibration.normalized(project.contract),
        softmax=project.output == "probabilities",
    )


def _metadata(project: Project, format: Format, qat: dict[str, Any]) -> ModelMetadata:
    lineage = {"dataset": project.dataset_sha256, "baseline": project.baseline_sha256, format.source: qat[f"{format.source}_sha256"]}
    return ModelMetadata(project.name, format.name, project.class_names, project.contract, project.output, lineage)


def _embed(format: Format, content: bytes, metadata: ModelMetadata) -> bytes:
    from export.embed import embed_onnx, embed_tflite

    return embed_tflite(content, metadata) if format.family == "tflite" else embed_onnx(content, metadata)


def _audited(format: Format, content: bytes) -> Audit:
    """The audit of an artifact; ModelError when a format that promises int8 is not."""
    found = audit(content)
    if format.is_int8 and not found.is_int8:
        islands = f"{len(found.float_islands)} operator(s) stay float ({', '.join(found.float_islands[:3])})"
        raise ModelError(f"{format.name} would not be int8: {islands if found.float_islands else 'nothing in it computes in int8'}.")
    return found


def _try(format: Format, name: str, content: bytes, images: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Run the artifact on every claimed runtime that is installed, in that runtime's own process. Returns those, and the first one's raw outputs."""
    answers: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory(prefix="edgeproof-") as folder:
        model, inputs, target = (Path(folder) / file for file in (name, "images.npy", "outputs.npy"))
        model.write_bytes(content)
        np.save(inputs, images)
        for runtime in format.runtimes:
            try:
                run_in_subprocess({"job": "predict", "model": str(model), "images": str(inputs), "outputs": str(target)}, runtime)
                answers[runtime] = np.load(target)
            except RuntimeMissingError:
                continue
    if not answers:
        raise ModelError(f"{format.name} could not be tried: none of {', '.join(format.runtimes)} works here (`edgeproof doctor`).")
    return list(answers), next(iter(answers.values()))


def _facts(format: Format, content: bytes, found: Audit, tried: list[str], qat: dict[str, Any]) -> dict[str, Any]:
    return {
        "format": format.name,
        "source": format.source,
        "source_sha256": qat[f"{format.source}_sha256"],
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "runtimes": list(format.runtimes),
        "tried": tried,
        "audit": found.to_dict(),
    }


def _keep(
    workspace: Workspace,
    project: Project,
    contents: dict[str, bytes],
    facts: dict[str, dict[str, Any]],
    calibration: Calibration,
    golden: GoldenVectors,
) -> None:
    """Write the new artifacts beside those of other formats that are still of these models, and the manifest last."""
    old = workspace.read_json("artifacts/manifest.json")["artifacts"] if workspace.has("artifacts/manifest.json") else {}
    golden_name = f"artifacts/{project.name}.golden.npz"
    if workspace.has(golden_name):
        golden.outputs.update({name: raw for name, raw in GoldenVectors.load(workspace / golden_name).outputs.items() if name not in golden.outputs})
    everything = {**old, **facts}
    order = {name: index for index, name in enumerate(FORMATS)}
    manifest = {
        "schema": 1,
        "name": project.name,
        "recipe": project.recipe,
        "seed": project.seed,
        "inputs": {
            "dataset_sha256": project.dataset_sha256,
            "baseline_sha256": project.baseline_sha256,
            "folded_sha256": workspace.sha256("folded.keras"),
            "qat_sha256": workspace.sha256("qat.h5"),
        },
        "calibration": calibration.to_dict(),
        "artifacts": dict(sorted(everything.items(), key=lambda entry: order[entry[1]["format"]])),
        "versions": versions(),
    }
    with workspace.stage("export") as files:
        for name, content in contents.items():
            files.write_bytes(f"artifacts/{name}", content)
        golden_path = files.write_arrays(golden_name, golden.to_arrays())
        files.write_json("artifacts/manifest.json", {**manifest, "golden": {"file": golden_path.name, "sha256": file_sha256(golden_path)}})
