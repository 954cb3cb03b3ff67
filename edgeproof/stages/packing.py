"""Which model a bundle brings along, and what parity says of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.matrix import Artifact, able_runtimes
from edge_runtime.errors import InputError
from edge_runtime.interpreter import find_runtime, model_suffix, read_model_file
from edgeproof.console import Console
from edgeproof.stages.showing import summary
from edgeproof.workspace import Workspace
from export.audit import audit
from export.packing import PASS, Payload
from export.support import support

ONNX_RUNTIME = "onnxruntime"


def choose_payload(workspace: Workspace, console: Console, runtimes: Sequence[str]) -> Payload:
    """The model that parity recommends, if it passed on the first runtime, else the smallest that did. MissingInputError before parity ran.

    With ONNX Runtime, the other ONNX artifacts that passed go along.
    """
    parity = workspace.read_json("parity.json")
    passed = [artifact for artifact in workspace.artifacts() if _passed(_rows(parity, artifact, runtimes[:1]))]
    if not passed:
        raise _nothing_passed(workspace, parity, runtimes[0])
    recommended = summary(workspace, console)[1].artifact
    chosen = min(passed, key=lambda artifact: (artifact.path.name != recommended, artifact.bytes))
    further = [artifact for artifact in workspace.artifacts() if artifact != chosen and _goes_along(parity, artifact, runtimes)]
    return _payload(workspace, parity, [chosen, *further], runtimes)


def named_payload(workspace: Workspace, model: Path, runtimes: Sequence[str]) -> Payload:
    """A file that the user names, with its verdict and golden vectors where this workspace has them. InputError when the runtime cannot load it."""
    content = read_model_file(model)
    suffix = model_suffix(content, str(model))
    runtime = runtimes[0]
    if find_runtime(runtime).suffix != suffix:
        raise InputError(f"{model} is a {suffix} file, which {runtime} does not open: choose another --runtime.")
    found = support(audit(content))[runtime]
    if not found.loads:
        raise InputError(f"{runtime} cannot load {model}: {found.reason}.")
    known = [artifact for artifact in _artifacts(workspace) if artifact.path.read_bytes() == content]
    if not known:
        return Payload({model.name: content}, None, (), None, None)
    parity = workspace.read_json("parity.json") if workspace.has("parity.json") else {"rows": [], "margin_pp": None}
    return _payload(workspace, parity, known[:1], runtimes)


def default_runtime_of(model: Path | None, fitting: str) -> str:
    """`fitting`, unless the file named is an ONNX model."""
    onnx = model is not None and model_suffix(read_model_file(model), str(model)) == ".onnx"
    return ONNX_RUNTIME if onnx else fitting


def _nothing_passed(workspace: Workspace, parity: dict[str, Any], runtime: str) -> InputError:
    others = {row["runtime"] for row in parity["rows"] if row["verdict"] == PASS and row["gates"] and row["kernels"] == "default"}
    other = f"bundle with --runtime {' or '.join(sorted(others))}, where some did, or " if others else ""
    return InputError(
        f"No artifact has a PASS on {runtime}, and nothing unproved is bundled unasked: run `edgeproof parity{workspace.option}`, "
        f"{other}name the file with --model."
    )


def _artifacts(workspace: Workspace) -> list[Artifact]:
    return workspace.artifacts() if workspace.has("artifacts/manifest.json") else []


def _rows(parity: dict[str, Any], artifact: Artifact, runtimes: Sequence[str]) -> list[dict[str, Any]]:
    """What decides about this very file on these runtimes: the rows on the kernels that a board runs."""
    return [
        row
        for row in parity["rows"]
        if row["sha256"] == artifact.sha256 and row["runtime"] in runtimes and row["kernels"] == "default" and row["gates"]
    ]


def _passed(rows: Sequence[dict[str, Any]]) -> bool:
    return bool(rows) and all(row["verdict"] == PASS for row in rows)


def _goes_along(parity: dict[str, Any], artifact: Artifact, runtimes: Sequence[str]) -> bool:
    return ONNX_RUNTIME in runtimes and bool(able_runtimes(artifact, [ONNX_RUNTIME])) and _passed(_rows(parity, artifact, [ONNX_RUNTIME]))


def _payload(workspace: Workspace, parity: dict[str, Any], artifacts: Sequence[Artifact], runtimes: Sequence[str]) -> Payload:
    golden = workspace.read_json("artifacts/manifest.json").get("golden")
    rows = [row for artifact in artifacts for row in _rows(parity, artifact, runtimes)]
    return Payload(
        {artifact.path.name: artifact.path.read_bytes() for artifact in artifacts},
        (golden["file"], workspace.require(f"artifacts/{golden['file']}").read_bytes()) if golden else None,
        rows,
        parity["margin_pp"],
        artifacts[0].assume,
    )
