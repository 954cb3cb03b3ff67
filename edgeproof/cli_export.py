"""`edgeproof export`: the formats as commands and flags."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeproof.options import (
    DEFAULT_WORKSPACE,
    DataOption,
    JsonOption,
    LogitsOption,
    ModelOption,
    PreprocessOption,
    VerboseOption,
    WorkspaceOption,
    adopt_model,
    open_workspace,
    where,
)  # fmt: skip

if TYPE_CHECKING:
    from edgeproof.console import Console
    from edgeproof.workspace import Workspace

export_app = typer.Typer(help="Export artifacts: each is audited and opened on its runtimes before it is kept.", no_args_is_help=True)


@export_app.command("tflite")
def export_tflite(
    int8: Annotated[bool, typer.Option("--int8", help="Every operator int8, from the QAT model.")] = False,
    float32: Annotated[bool, typer.Option("--float32", help="The folded model as it is.")] = False,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    model: ModelOption = None,
    data: DataOption = "digits",
    preprocess: PreprocessOption = None,
    logits: LogitsOption = False,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> int:
    """TensorFlow Lite, for tflite-runtime and ai-edge-litert. Without flags: float32 and int8."""
    chosen = [name for name, wanted in (("tflite-float32", float32), ("tflite-int8", int8)) if wanted]
    return _export(chosen, "tflite", *open_workspace(workspace, as_json, verbose), model, data, preprocess, logits)


@export_app.command("onnx")
def export_onnx(
    int8: Annotated[bool, typer.Option("--int8", help="QDQ with the QAT model's weights and ranges.")] = False,
    float32: Annotated[bool, typer.Option("--float32", help="The folded model as it is.")] = False,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    model: ModelOption = None,
    data: DataOption = "digits",
    preprocess: PreprocessOption = None,
    logits: LogitsOption = False,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> int:
    """ONNX, for ONNX Runtime. Without flags: float32 and int8."""
    chosen = [name for name, wanted in (("onnx-float32", float32), ("onnx-int8", int8)) if wanted]
    return _export(chosen, "onnx", *open_workspace(workspace, as_json, verbose), model, data, preprocess, logits)


@export_app.command("all")
def export_all(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    model: ModelOption = None,
    data: DataOption = "digits",
    preprocess: PreprocessOption = None,
    logits: LogitsOption = False,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Every format."""
    return _export([], None, *open_workspace(workspace, as_json, verbose), model, data, preprocess, logits)


def _export(
    names: list[str],
    family: str | None,
    place: Workspace,
    console: Console,
    model: Path | None,
    data: str,
    preprocess: str | None,
    logits: bool,
) -> int:
    from edgeproof.stages.exporting import export_formats
    from edgeproof.stages.quantize import fold_and_fine_tune
    from export.formats import find_format, formats_of

    if model is not None:
        console.say(f"Taking {model} as the baseline, then folding and fine-tuning it on {data}.")
        adopt_model(place, console, model, data, preprocess, logits)
        fold_and_fine_tune(place, console)
    exported = export_formats(place, console, [find_format(name) for name in names] or formats_of(family))
    console.give(exported)
    for name, facts in exported["artifacts"].items():
        share, runtimes = facts["audit"]["int8_weights_share"] or 0, " and ".join(facts["runtimes"])
        console.show(f"{place / 'artifacts' / name}: {facts['bytes'] / 1000:.1f} KB, {share:.0%} of weights int8, runs on {runtimes}.")
    for name, reason in exported["failed"].items():
        console.show(f"{name} failed: {reason}")
    console.show(f"Next: edgeproof parity{where(place)}")
    return 1 if exported["failed"] else 0
