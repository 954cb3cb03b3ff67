"""Stage 3: artifacts, each audited and run on every runtime that it claims before it is kept."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.matrix import Artifact
from benchmarks.outputs import Outputs
from benchmarks.parity import DEFAULT_MARGIN_PP
from edge_runtime.errors import EdgeproofError, ModelError
from edge_runtime.golden import GoldenVectors
from edge_runtime.metadata import ModelMetadata
from edgeproof.console import Console
from edgeproof.stages import calibrating, trying
from edgeproof.stages.mixing import mix, price_table
from edgeproof.stages.project import Project, versions
from edgeproof.stages.quantize import why_not_quantizable
from edgeproof.workspace import Workspace, file_sha256
from export.audit import Audit, audit
from export.calibration import Calibration
from export.formats import FORMATS, QAT, Format, Sources, Trained
from export.mixed import FORMAT as MIXED
from export.mixed import Mix
from export.support import runtime_title, support


@dataclass(frozen=True)
class Made:
    """A converted file that has not been tried yet."""

    format: Format
    content: bytes
    audit: Audit

    @property
    def claims(self) -> tuple[str, ...]:
        """The runtimes that its operators' versions let load it."""
        found = support(self.audit)
        return tuple(runtime for runtime in self.format.runtimes if found[runtime].loads)

    @property
    def refused(self) -> dict[str, str]:
        """Why the other runtimes of its family would not, with the remedy."""
        return {runtime: answer.reason for runtime, answer in support(self.audit).items() if not answer.loads}


def export_formats(workspace: Workspace, console: Console, formats: Sequence[Format], margin_pp: float = DEFAULT_MARGIN_PP) -> dict[str, Any]:
    """Export each format into `artifacts/`. One that fails is an entry under "failed" with its reason, not the end of the others.

    margin_pp: the largest drop that `tflite-mixed` may have; the answer then has its sentence and prices under "mixed".
    """
    project = Project.of(workspace)
    hashes = source_hashes(workspace, formats)
    dataset, split = project.load_data()
    calibration = Calibration.choose(dataset.images, split.calibration, split.validation)
    failed: dict[str, str] = {}
    mixed, formats = _search(workspace, console, formats, margin_pp, failed)
    with tempfile.TemporaryDirectory(prefix="edgeproof-") as folder:
        with console.natives_silenced():
            sources = replace(load_sources(workspace, project, formats, calibration), mixed=mixed.content if mixed else None)
            saturated = calibrating.saturations(workspace, project, sources, calibration)
            made = convert(console, project, sources, formats, hashes, failed)
        calibrating.report(console, calibration, saturated)
        artifacts = {name: _artifact(Path(folder) / name, item) for name, item in made.items()}
        for name, item in made.items():
            (Path(folder) / name).write_bytes(item.content)
        tried = trying.run_all(workspace, console, list(artifacts.values())) if made else []
        for name in trying.refused(tried):
            failed[made.pop(name).format.name] = trying.refused(tried)[name]
            del artifacts[name]
        if not made:
            return {"artifacts": {}, "failed": failed, "mixed": mixed.to_dict() if mixed else None}
        held = workspace.artifacts() if workspace.has("artifacts/manifest.json") else []
        kept = [artifact for artifact in held if artifact.path.name not in made]
        tried += trying.run_all(workspace, console, kept) if kept else []
        golden = trying.golden_vectors(workspace, console, [*kept, *artifacts.values()], tried)
    facts = {name: _facts(item, [outputs for outputs in tried if outputs.artifact == name], hashes) for name, item in made.items()}
    for entry in facts.values():
        if mixed and entry["format"] == MIXED:
            entry["mixed"] = mixed.to_dict()
    _keep(workspace, project, made, facts, failed, golden, {"inputs": hashes, "calibration": calibrating.facts(calibration, saturated)})
    return {"artifacts": facts, "failed": failed, "mixed": mixed.to_dict() if mixed else None}


def _search(
    workspace: Workspace, console: Console, formats: Sequence[Format], margin_pp: float, failed: dict[str, str]
) -> tuple[Mix | None, Sequence[Format]]:
    """(what the search for mixed precision came to, if it was asked for; the formats that are left to convert)."""
    others = [format for format in formats if not format.searched]
    if len(others) == len(formats):
        return None, formats
    try:
        if refusal := why_not_quantizable(workspace):
            raise ModelError(refusal)
        mixed = mix(workspace, console, margin_pp)
    except ModelError as error:
        failed[MIXED] = str(error)
        return None, others
    console.say(mixed.sentence)
    if mixed.prices:
        console.show(price_table(mixed))
    return mixed, formats if mixed.content else others


def source_hashes(workspace: Workspace, formats: Sequence[Format]) -> dict[str, str]:
    """sha256 of the models by stage. MissingInputError when a format needs QAT, the network can be quantized, and nobody has done it."""
    hashes = {"folded_sha256": workspace.read_json("folded.json")["folded_sha256"]}
    if workspace.has("qat.json") or (any(format.source == QAT for format in formats) and why_not_quantizable(workspace) is None):
        hashes["qat_sha256"] = workspace.read_json("qat.json")["qat_sha256"]
    return hashes


def convert(
    console: Console, project: Project, sources: Sources, formats: Sequence[Format], hashes: Mapping[str, str], failed: dict[str, str]
) -> dict[str, Made]:
    """Every format that converts and is what it is called, by file name; the others with their reasons into `failed`."""
    made = {}
    with console.progress("Exporting") as progress:
        for index, format in enumerate(formats):
            progress(index, len(formats), format.name)
            try:
                content = _embed(format, format.convert(sources), _metadata(project, format, hashes))
                made[f"{project.name}-{format.name}{format.suffix}"] = Made(format, content, _audited(format, content))
            except EdgeproofError as error:
                failed[format.name] = str(error)
    return made


def load_sources(workspace: Workspace, project: Project, formats: Sequence[Format], calibration: Calibration) -> Sources:
    """The models that these formats are made from."""
    from train.model_files import load_model
    from train.qat import float_twin, load_qat

    folded = load_model(workspace.require("folded.keras"))
    sources = Sources(folded, calibration.normalized(project.contract), project.output == "probabilities", None)
    if all(format.source != QAT for format in formats):
        return sources
    refusal = why_not_quantizable(workspace)
    if refusal:
        return replace(sources, why_not_trained=refusal)
    model = load_qat(workspace.require("qat.h5"))
    return replace(sources, trained=Trained(model, float_twin(model, folded), workspace.read_json("qat.json")["activation_ranges"]))


def _metadata(project: Project, format: Format, hashes: Mapping[str, str]) -> ModelMetadata:
    lineage = {"dataset": project.dataset_sha256, "baseline": project.baseline_sha256, format.source: hashes[f"{format.source}_sha256"]}
    return ModelMetadata(project.name, format.name, project.class_names, project.contract, project.output, lineage)


def _embed(format: Format, content: bytes, metadata: ModelMetadata) -> bytes:
    from export.embed import embed_onnx, embed_tflite

    return embed_tflite(content, metadata) if format.family == "tflite" else embed_onnx(content, metadata)


def _audited(format: Format, content: bytes) -> Audit:
    """The audit of an artifact; ModelError when a format that promises int8 is not, or when no runtime would load it."""
    found = audit(content)
    if format.is_int8 and not found.is_int8:
        islands = f"{len(found.float_islands)} operator(s) stay float ({', '.join(found.float_islands[:3])})"
        raise ModelError(f"{format.name} would not be int8: {islands if found.float_islands else f'it is {found.precision}'}.")
    refused = {runtime: answer.reason for runtime, answer in support(found).items() if not answer.loads}
    if len(refused) == len(format.runtimes) or (format.is_int8 and refused):  # int8 is what boards are given: it must load everywhere
        raise ModelError("; ".join(f"{runtime_title(runtime)} would not load {format.name}: {reason}" for runtime, reason in refused.items()) + ".")
    return found


def _artifact(path: Path, made: Made) -> Artifact:
    digest = hashlib.sha256(made.content).hexdigest()
    return Artifact(path, made.format.name, made.format.source, digest, made.claims, len(made.content))


def _facts(made: Made, tried: Sequence[Outputs], hashes: Mapping[str, str]) -> dict[str, Any]:
    return {
        "format": made.format.name,
        "source": made.format.source,
        "source_sha256": hashes[f"{made.format.source}_sha256"],
        "sha256": hashlib.sha256(made.content).hexdigest(),
        "bytes": len(made.content),
        "runtimes": list(made.claims),
        "refused": made.refused,
        "tried": [outputs.runtime for outputs in tried if outputs.raw is not None],
        "audit": made.audit.to_dict(),
    }


def _keep(
    workspace: Workspace,
    project: Project,
    made: Mapping[str, Made],
    facts: Mapping[str, dict[str, Any]],
    failed: Mapping[str, str],
    golden: GoldenVectors,
    origin: Mapping[str, Mapping[str, Any]],
) -> None:
    """Write the new artifacts beside those of other formats, and the manifest last."""
    old = workspace.read_json("artifacts/manifest.json") if workspace.has("artifacts/manifest.json") else {}
    exported = {item.format.name for item in made.values()}
    still_failing = {format: reason for format, reason in {**old.get("failed", {}), **failed}.items() if format not in exported}
    order = {name: index for index, name in enumerate(FORMATS)}
    artifacts = dict(sorted({**old.get("artifacts", {}), **facts}.items(), key=lambda entry: order[entry[1]["format"]]))
    with workspace.stage("export") as files:
        for name, item in made.items():
            files.write_bytes(f"artifacts/{name}", item.content)
        golden_path = files.write_arrays(f"artifacts/{project.name}.golden.npz", golden.to_arrays())
        manifest = {
            "schema": 1,
            "name": project.name,
            "recipe": project.recipe,
            "seed": project.seed,
            "inputs": {"dataset_sha256": project.dataset_sha256, "baseline_sha256": project.baseline_sha256, **origin["inputs"]},
            "calibration": origin["calibration"],
            "artifacts": artifacts,
            "failed": still_failing,
            "golden": {"file": golden_path.name, "sha256": file_sha256(golden_path)},
            "versions": versions(),
        }
        files.write_json("artifacts/manifest.json", manifest)
