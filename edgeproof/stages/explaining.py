"""Looks inside the exports that fail: which hop, and where that is the export's own, which layer. Needs no TensorFlow."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.layers import INPUT, KerasLayers, LayerRow, Tensor, layer_table
from benchmarks.outputs import Outputs
from benchmarks.parity import UNSUPPORTED, Report, Row
from benchmarks.suspects import culprits, explain
from benchmarks.targets.base import Target
from benchmarks.targets.local import LocalTarget
from edge_runtime.arrays import read_npz
from edge_runtime.errors import InputError, RuntimeProblem
from edge_runtime.tensors import Quantization
from edgeproof.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np


Tables = Mapping[int, Sequence[LayerRow]]  # by row of the report


def explain_failures(
    workspace: Workspace, outputs: Sequence[Outputs], report: Report, *, known: Tables | None = None, targets: Sequence[Target] = ()
) -> Report:
    """The report with the hop of every row that fails and, if it is the export's, the table of its layers.

    What fails is run once more for its table, on its own target, unless tables are `known`: then those, and no inference.
    A row that cannot run ends in the remedy that the manifest has for it.
    """
    manifest = workspace.read_json("artifacts/manifest.json")["artifacts"]
    report = replace(report, rows=tuple(_with_remedy(row, manifest.get(row.artifact, {})) for row in report.rows))
    found = culprits(report, outputs)
    own = [index for index, culprit in found.items() if culprit.own]
    if known is not None:
        return explain(report, found, {index: known[index] for index in own if index in known})
    if not own or not workspace.has("layers.npz"):
        return explain(report, found, {})
    layers, images = _keras_layers(workspace), workspace.read_arrays("validation.npz")["images"]
    places: dict[str, Target] = {target.name: target for target in (LocalTarget(), *targets)}

    def table(answers: Outputs) -> list[LayerRow]:
        assume = manifest[answers.artifact].get("assume")
        return _table(workspace / "artifacts", answers, places[answers.target], assume, layers.get(answers.source, KerasLayers({})), images)

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        tables = list(pool.map(table, [outputs[index] for index in own]))
    return explain(report, found, {index: table for index, table in zip(own, tables, strict=True) if table})


def _with_remedy(row: Row, facts: Mapping[str, Any]) -> Row:
    refused = facts.get("refused", {}).get(row.runtime)
    return replace(row, reason=f"{row.reason} ({refused})") if row.verdict == UNSUPPORTED and refused else row


def _keras_layers(workspace: Workspace) -> dict[str, KerasLayers]:
    """What is kept of the layers of the Keras models that exports were made from: "folded" and "qat", or a stranger's "baseline"."""
    outputs: dict[str, dict[str, np.ndarray]] = {"baseline": {}, "folded": {}, "qat": {}}
    for key, values in workspace.read_arrays("layers.npz").items():
        stage, _, layer = key.partition("/")
        outputs.setdefault(stage, {})[layer] = values
    fused = workspace.read_json("training.json").get("fused_layers", {})
    known = {stage: KerasLayers(values) for stage, values in outputs.items()}
    return known | {"baseline": KerasLayers(outputs["baseline"], outputs["folded"], fused)}


def _table(
    artifacts: Path, answers: Outputs, target: Target, assume: Mapping[str, Any] | None, reference: KerasLayers, images: np.ndarray
) -> list[LayerRow]:
    """The layers of one row; none when nothing was kept to compare them with, none keeps its name, or they cannot be looked at here."""
    if INPUT not in reference.outputs:
        return []
    images = images[: len(reference.outputs[INPUT])]
    with tempfile.TemporaryDirectory(prefix="edgeproof-") as folder:
        try:
            tensors, output = _tensors(artifacts / answers.artifact, answers, target, assume, images, Path(folder))
        except (RuntimeProblem, InputError):  # the row says it already
            return []
    if not tensors[0].means_numbers:  # pixels as they are, which are no scaled ones
        reference = replace(reference, outputs={name: values for name, values in reference.outputs.items() if name != INPUT})
    table = layer_table(reference, tensors, ends_in_logits=output == "logits")
    return table if any(row.layer != INPUT for row in table) else []


def _tapped(model: Path) -> tuple[bytes, Mapping[str, Quantization]]:
    """A copy that gives out what its operators write; and, by name, what integers mean where the runtime cannot tell."""
    if model.suffix == ".onnx":
        from export.tapping import tap_onnx

        return tap_onnx(model.read_bytes())
    from export.tapping_tflite import tap_tflite

    return tap_tflite(model.read_bytes()), {}


def _tensors(
    model: Path, answers: Outputs, target: Target, assume: Mapping[str, Any] | None, images: np.ndarray, folder: Path
) -> tuple[list[Tensor], str]:
    """(what every operator wrote, whether the model answers with logits or probabilities)."""
    import numpy as np

    content, meanings = _tapped(model)
    model = folder / model.name
    model.write_bytes(content)
    np.save(folder / "images.npy", images)
    files = {"model": str(model), "images": str(folder / "images.npy"), "outputs": str(folder / "tensors.npz")}
    job: dict[str, Any] = {"job": "tensors", **files, "kernels": answers.kernels, "assume": assume}
    message = target.run(job, answers.runtime)
    arrays = read_npz(folder / "tensors.npz", "judge parity again")
    tensors = []
    for index, facts in enumerate(message["tensors"]):
        meaning = Quantization(**facts["quantization"]) if facts["quantization"] else meanings.get(facts["name"])
        tensors.append(Tensor(facts["name"], arrays[str(index)], meaning))
    return tensors, message["output"]
