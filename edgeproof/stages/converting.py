"""Keras models of a workspace -> files that are what they are called. None of them has been run yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from edge_runtime.errors import EdgeproofError, ModelError
from edge_runtime.metadata import ModelMetadata
from edgeproof.console import Console
from edgeproof.stages.project import Project
from edgeproof.stages.quantize import why_not_quantizable
from edgeproof.workspace import Workspace
from export.audit import Audit, audit
from export.calibration import Calibration
from export.formats import QAT, Format, Sources, Trained
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


def source_hashes(workspace: Workspace, formats: Sequence[Format]) -> dict[str, str]:
    """sha256 of the models by stage. MissingInputError when a format needs QAT, the network can be quantized, and nobody has done it."""
    hashes = {"folded_sha256": workspace.read_json("folded.json")["folded_sha256"]}
    if workspace.has("qat.json") or (any(format.source == QAT for format in formats) and why_not_quantizable(workspace) is None):
        hashes["qat_sha256"] = workspace.read_json("qat.json")["qat_sha256"]
    return hashes


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
