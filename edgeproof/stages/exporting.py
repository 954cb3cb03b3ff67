"""Stage 3: artifacts, each audited and run on every runtime that it claims before it is kept."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.matrix import Artifact
from benchmarks.outputs import Outputs
from benchmarks.parity import DEFAULT_MARGIN_PP
from edge_runtime.errors import EdgeproofError, InputError, ModelError
from edge_runtime.golden import GoldenVectors
from edgeproof.console import Console
from edgeproof.stages import calibrating, trying
from edgeproof.stages.converting import Made, convert, load_sources, source_hashes
from edgeproof.stages.mixing import mix, price_table
from edgeproof.stages.project import Project, versions
from edgeproof.stages.quantize import why_not_quantizable
from edgeproof.workspace import Workspace, file_sha256
from export.calibration import Calibration
from export.formats import FORMATS, Format
from export.mixed import FORMAT as MIXED
from export.mixed import Mix


def export_formats(workspace: Workspace, console: Console, formats: Sequence[Format], margin_pp: float = DEFAULT_MARGIN_PP) -> dict[str, Any]:
    """Export each format into `artifacts/`. One that fails is an entry under "failed" with its reason, not the end of the others.

    margin_pp: the largest drop that `tflite-mixed` may have; its prices are in the manifest.
    """
    project = Project.of(workspace)
    hashes = source_hashes(workspace, formats)
    dataset, split = project.load_data()
    calibration = Calibration.choose(dataset.images, split.calibration, split.validation)
    failed: dict[str, str] = {}
    mixed, formats = _search(workspace, console, formats, margin_pp, failed)
    with console.natives_silenced():
        sources = replace(load_sources(workspace, project, formats, calibration), mixed=mixed.content if mixed else None)
        saturated = calibrating.saturations(workspace, project, sources, calibration)
        made = convert(console, project, sources, formats, hashes, failed)
    calibrating.report(console, calibration, saturated)
    former = _manifest(workspace)
    kept = _still_there(workspace, console, former.get("artifacts", {}), made)
    tried, golden = _try(workspace, console, made, list(kept.values()), failed)
    facts = {name: _facts(item, [outputs for outputs in tried if outputs.artifact == name], hashes, mixed) for name, item in made.items()}
    if made:
        record = {
            "inputs": {"dataset_sha256": project.dataset_sha256, "baseline_sha256": project.baseline_sha256, **hashes},
            "calibration": calibrating.facts(calibration, saturated, former),
            "artifacts": _in_order({**{name: former["artifacts"][name] for name in kept}, **facts}),
            "failed": _still_failing({**former.get("failed", {}), **failed}, made),
        }
        _keep(workspace, project, made, golden, record)
    elif former:
        workspace.write_json("artifacts/manifest.json", {**former, "failed": {**former.get("failed", {}), **failed}})
    return {"artifacts": facts, "failed": failed}


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
    except EdgeproofError as error:
        failed[MIXED] = str(error)
        return None, others
    console.say(mixed.sentence)
    if mixed.prices:
        console.show(price_table(mixed))
    return mixed, formats if mixed.content else others


def _manifest(workspace: Workspace) -> dict[str, Any]:
    """What was exported before; empty if nothing was."""
    return workspace.read_json("artifacts/manifest.json") if workspace.has("artifacts/manifest.json") else {}


def _still_there(workspace: Workspace, console: Console, former: Mapping[str, Any], made: Mapping[str, Made]) -> dict[str, Artifact]:
    """Artifacts of other formats. One that has been lost or changed since is left out, so that it can be exported again."""
    kept = {}
    for name in former.keys() - made.keys():
        try:
            kept[name] = workspace.artifact(name, former[name])
        except InputError as error:
            console.say(f"Left out of the manifest: {error}")
    return kept


def _try(
    workspace: Workspace, console: Console, made: dict[str, Made], kept: Sequence[Artifact], failed: dict[str, str]
) -> tuple[list[Outputs], GoldenVectors | None]:
    """Run what was made; what a claimed runtime cannot run moves from `made` to `failed`. Golden vectors are chosen by what all answered."""
    if not made:
        return [], None
    with tempfile.TemporaryDirectory(prefix="edgeproof-") as folder:
        artifacts = {name: _artifact(Path(folder) / name, item) for name, item in made.items()}
        for name, item in made.items():
            (Path(folder) / name).write_bytes(item.content)
        tried = trying.run_all(workspace, console, list(artifacts.values()))
        for name, reason in trying.refused(tried).items():
            failed[made.pop(name).format.name] = reason
            del artifacts[name]
        if not made:
            return tried, None
        tried += trying.run_all(workspace, console, kept) if kept else []
        return tried, trying.golden_vectors(workspace, console, [*kept, *artifacts.values()], tried)


def _artifact(path: Path, made: Made) -> Artifact:
    digest = hashlib.sha256(made.content).hexdigest()
    return Artifact(path, made.format.name, made.format.source, digest, made.claims, len(made.content))


def _facts(made: Made, tried: Sequence[Outputs], hashes: Mapping[str, str], mixed: Mix | None) -> dict[str, Any]:
    facts = {
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
    return {**facts, "mixed": mixed.to_dict()} if mixed and made.format.name == MIXED else facts


def _in_order(artifacts: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    order = {name: index for index, name in enumerate(FORMATS)}
    return dict(sorted(artifacts.items(), key=lambda entry: order[entry[1]["format"]]))


def _still_failing(failed: Mapping[str, str], made: Mapping[str, Made]) -> dict[str, str]:
    exported = {item.format.name for item in made.values()}
    return {format: reason for format, reason in failed.items() if format not in exported}


def _keep(workspace: Workspace, project: Project, made: Mapping[str, Made], golden: GoldenVectors | None, record: Mapping[str, Any]) -> None:
    """Write the new artifacts beside those of other formats, and the manifest last."""
    with workspace.stage("export") as files:
        for name, item in made.items():
            files.write_bytes(f"artifacts/{name}", item.content)
        path = files.write_arrays(f"artifacts/{project.name}.golden.npz", golden.to_arrays() if golden else {})
        identity = {"schema": 1, "name": project.name, "recipe": project.recipe, "seed": project.seed}
        vectors = {"file": path.name, "sha256": file_sha256(path)}
        files.write_json("artifacts/manifest.json", {**identity, **record, "golden": vectors, "versions": versions()})
