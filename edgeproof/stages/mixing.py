"""Mixed precision: the fewest layers kept float with which a TensorFlow Lite export is within the margin, and what each would cost."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import parity, statistics
from benchmarks.latency import measure
from benchmarks.matrix import Artifact, cells, collect
from benchmarks.targets import find_target
from edge_runtime.errors import RuntimeMissingError
from edge_runtime.metadata import ModelMetadata
from edgeproof.console import Console
from edgeproof.stages.judging import check_margin
from edgeproof.stages.project import Project
from edgeproof.workspace import Workspace
from export.calibration import Calibration
from export.mixed import FORMAT, INT8, Candidate, Judgement, KeepFloat, Mix, Price, Search, listed, price_layers, said

if TYPE_CHECKING:
    from rich.table import Table

RUNTIMES = ("ai-edge-litert", "tflite-runtime")
TIMED_SECONDS = 0.3  # a file


def mix(workspace: Workspace, console: Console, margin_pp: float) -> Mix:
    """Search on the selection part: the validation part is for verdicts. ModelError when no set of float layers reaches the margin.

    The file, if any, carries no metadata yet; nothing is written.
    """
    check_margin(margin_pp)
    project = Project.of(workspace)
    dataset, split = project.load_data()
    images, labels = dataset.images[split.selection], dataset.labels[split.selection]
    calibration = Calibration.choose(dataset.images, split.calibration, split.validation)
    certified = len(labels) >= statistics.images_to_certify(margin_pp / 100)
    if not certified:
        console.say(_cannot_certify(len(labels), margin_pp))
    with console.natives_silenced():
        from train.evaluate import predict_probabilities
        from train.model_files import load_model

        convert, layers = _converter(workspace, project, calibration)
        metadata = ModelMetadata(project.name, FORMAT, project.class_names, project.contract, project.output)
        baseline = predict_probabilities(load_model(workspace.require("baseline.keras")), images, project.contract)
        judge = _Judge(images, parity.Reference(labels, baseline, {}), margin_pp, metadata)
        with console.progress("Searching for the layers to keep float") as progress:
            search = Search(layers, convert, judge, margin_pp, certified, progress)
            kept = search.run()
        if kept.keep_float == INT8:
            return _result(search, kept, len(labels), (), Price(0, 0, 0.0))
        with console.progress("Timing each layer's price"):
            prices, total = price_layers(search, kept, lambda files: _time(files, images, metadata))
    return _result(search, kept, len(labels), prices, total)


def _converter(workspace: Workspace, project: Project, calibration: Calibration) -> tuple[Callable[[KeepFloat], bytes], list[str]]:
    """(what converts the workspace's QAT model with some layers float, the layers that can be)."""
    from export.partial import convert_partial
    from export.to_tflite import convert_int8
    from train.partial import partially_quantized, quantized_layers
    from train.qat import load_qat

    model, softmax = load_qat(workspace.require("qat.h5")), project.output == "probabilities"

    def convert(keep_float: KeepFloat) -> bytes:
        if keep_float == INT8:
            return convert_int8(model, calibration.normalized(project.contract), softmax=softmax)
        return convert_partial(partially_quantized(model, keep_float), softmax=softmax)

    return convert, quantized_layers(model)


@dataclass(frozen=True)
class _Judge:
    """Judges a file on uint8 images [n, H, W, C] by the runtime on which it does worst."""

    images: np.ndarray
    reference: parity.Reference
    margin_pp: float
    metadata: ModelMetadata

    def __call__(self, content: bytes) -> Judgement:
        with tempfile.TemporaryDirectory(prefix="edgeproof-") as folder:
            matrix = cells([_artifact(content, Path(folder), self.metadata)], runtimes=RUNTIMES, kernels=["default"])
            outputs = collect(matrix, self.images, find_target("local"))
        report = parity.judge(self.reference, outputs, margin_pp=self.margin_pp, baseline_sha256="")
        judgements = []
        for row in report.rows:
            if row.drop_pp is not None and row.drop_upper_pp is not None and row.broken is not None and row.fixed is not None:
                judgements.append(Judgement(row.drop_pp, row.drop_upper_pp, row.broken, row.fixed))
            elif row.gates:  # a runtime refuses this set of layers: it answers nothing right there
                judgements.append(Judgement(100.0, 100.0, row.images, 0))
        if not judgements:
            raise RuntimeMissingError(f"Mixing needs one of {' or '.join(RUNTIMES)} to judge by: pip install 'edgeproof[toolkit]'.")
        return max(judgements, key=lambda judgement: judgement.upper_pp)


def _artifact(flatbuffer: bytes, folder: Path, metadata: ModelMetadata) -> Artifact:
    from export.embed import embed_tflite

    content = embed_tflite(flatbuffer, metadata)
    digest = hashlib.sha256(content).hexdigest()
    path = folder / f"{digest}.tflite"
    path.write_bytes(content)
    return Artifact(path, FORMAT, "qat", digest, RUNTIMES, len(content))


def _time(files: Sequence[bytes], images: np.ndarray, metadata: ModelMetadata) -> list[float]:
    """Median microseconds of one inference with each file, interleaved, on the first runtime that works here."""
    with tempfile.TemporaryDirectory(prefix="edgeproof-") as folder:
        artifacts = [_artifact(content, Path(folder), metadata) for content in files]
        for runtime in RUNTIMES:
            timed = measure(artifacts, images, find_target("local"), runtimes=(runtime,), seconds=TIMED_SECONDS)
            if not any(contestant.reason for contestant in timed):
                return [float(np.median(np.concatenate(contestant.invoke_ns))) / 1000 for contestant in timed]
    raise RuntimeMissingError(f"The files could not be timed: {timed[0].reason}")


def _result(search: Search, kept: Candidate, images: int, prices: tuple[Any, ...], total: Price) -> Mix:
    int8, layers = search.tried[INT8], tuple(layer for layer in search.layers if layer in kept.keep_float)
    facts = f"drop {said(kept.judgement)} on {images:,} selection images"
    if not layers:
        sentence = f"int8 already within the margin: {facts}; nothing to mix."
    else:
        undone = f"{total.flips_undone} of {int8.judgement.broken} broken answers undone"
        cost = f"{total.bytes / 1000:+.1f} KB and {total.microseconds:+.1f} µs"
        sentence = f"Kept {len(layers)} of {len(search.layers)} layers float ({listed(layers)}): {undone} for {cost} against int8; {facts}."
        sentence += _forced(kept, search.layers)
    if not search.certified:
        sentence += f" The drop itself decided: that is too few images to certify {search.margin_pp:g} pp."
    return Mix(
        content=kept.content if layers else None,
        kept_float=layers,
        prices=prices,
        sentence=sentence,
        margin_pp=search.margin_pp,
        certified=search.certified,
        images=images,
        int8=int8.judgement,
        mixed=kept.judgement,
        total=total,
        conversions=len(search.tried),
    )


def _forced(kept: Candidate, layers: Sequence[str]) -> str:
    from export.partial import float_layers

    forced = float_layers(kept.content, layers) - kept.keep_float
    return f" The converter keeps {listed(forced)} float as well." if forced else ""


def _cannot_certify(images: int, margin_pp: float) -> str:
    needed, best = statistics.images_to_certify(margin_pp / 100), 100 * statistics.smallest_certifiable_drop(images)
    return (
        f"{images:,} selection images cannot certify a drop of at most {margin_pp:g} pp (that takes {needed:,}; they can certify {best:.2f} pp): "
        "layers are chosen by the drop itself."
    )


def price_table(result: Mix) -> Table:
    """One line a layer: what keeping it float, alone, brings and costs."""
    from rich.table import Table
    from rich.text import Text

    table = Table("layer", "kept", "flips undone", "bytes", "time", box=None, pad_edge=False, header_style="bold")
    table.title, table.title_justify = "Each layer float, alone, against int8", "left"
    for column in table.columns[2:]:
        column.justify = "right"
    for price in result.prices:
        kind = "float" if price.kept_float else "int8"
        table.add_row(Text(price.layer), kind, f"{price.flips_undone:,}", f"{price.bytes:+,}", f"{price.microseconds:+.1f} µs")
    return table
