"""Commands that make things: run, train, qat, export."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeproof.commands.printing import next_commands, show_summary
from edgeproof.options import (
    DEFAULT_WORKSPACE,
    DataOption,
    EpochsOption,
    JsonOption,
    LogitsOption,
    MarginOption,
    MixedMarginOption,
    ModelOption,
    PreprocessOption,
    SecondsOption,
    SeedOption,
    VerboseOption,
    WorkspaceOption,
    adopt_model,
    open_workspace,
    refuse_without,
    refuse_without_model,
)

if TYPE_CHECKING:
    from edgeproof.console import Console
    from edgeproof.workspace import Workspace
    from export.formats import Format

RecipeOption = Annotated[str | None, typer.Option("--recipe", help="compact (default; small and fast) or seed.")]


def run(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    recipe: RecipeOption = None,
    model: ModelOption = None,
    data: DataOption = None,
    preprocess: PreprocessOption = None,
    logits: LogitsOption = False,
    epochs: EpochsOption = None,
    seed: SeedOption = 0,
    max_drop: MarginOption = 0.25,
    seconds: SecondsOption = 2.0,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Everything: train, fold, fine-tune, export, parity, latency, dashboard. Exits with the verdict; with 1, too, if a format cannot be made."""
    from edgeproof import pipeline
    from edgeproof.stages.judging import exit_code

    refuse_without_model(model, preprocess=preprocess, logits=logits)
    if model is not None and recipe is not None:
        raise typer.BadParameter("give --model or --recipe, not both")
    place, console = open_workspace(workspace, as_json, verbose)
    options = pipeline.Options(recipe or "compact", model, data or "digits", preprocess, logits, epochs, seed, max_drop, seconds)
    try:
        outcome = pipeline.run(place, console, options)
    except pipeline.NothingExported as error:
        console.say(f"error: {error}")
        return 1
    show_summary(place, console, verdict=outcome.verdict, seconds=outcome.seconds, failed=outcome.failed)
    console.show(f"\nDashboard: {outcome.dashboard}")
    console.show(next_commands(place, outcome.recommendation.artifact))
    return exit_code(outcome.verdict) or (1 if outcome.failed else 0)


def train(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    recipe: RecipeOption = None,
    data: DataOption = None,
    epochs: EpochsOption = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Train a baseline from a recipe."""
    from edgeproof.stages.baseline import train_baseline

    place, console = open_workspace(workspace, as_json, verbose)
    facts = train_baseline(place, console, recipe=recipe or "compact", source=data or "digits", epochs=epochs, seed=seed)
    console.give(facts)
    console.show(
        f"{facts['name']}: {facts['accuracy']:.2%} on the validation images, {facts['parameters']:,} parameters, best epoch {facts['best_epoch']}."
    )
    console.show(f"Figures: {place / 'figures'}. Next: edgeproof qat{place.option}")
    return 0


def qat(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    epochs: EpochsOption = None,
    model: ModelOption = None,
    data: DataOption = None,
    preprocess: PreprocessOption = None,
    logits: LogitsOption = False,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Fold every BatchNorm away and fine-tune with fake quantization."""
    from edgeproof.stages.quantize import fold_and_fine_tune

    refuse_without_model(model, data=data, preprocess=preprocess, logits=logits, seed=seed)
    place, console = open_workspace(workspace, as_json, verbose)
    if model is not None:
        adopt_model(place, console, model, data, preprocess, logits, seed)
    facts = fold_and_fine_tune(place, console, epochs=epochs)
    console.give(facts)
    for step in facts["fold_steps"]:
        console.show(f"  {step}")
    console.show(f"Folded: answers differ by at most {facts['fold_difference']:.1e}. QAT model: {facts['accuracy']:.2%} on the validation images.")
    console.show(f"Next: edgeproof export all{place.option}")
    return 0


def export(
    family: Annotated[str, typer.Argument(metavar="tflite|onnx|all", help="TensorFlow Lite, ONNX, or both.")],
    int8: Annotated[bool, typer.Option("--int8", help="Every operator int8, from the QAT model.")] = False,
    int8_ptq: Annotated[bool, typer.Option("--int8-ptq", help="Every operator int8, without training: the quick way.")] = False,
    float32: Annotated[bool, typer.Option("--float32", help="The folded model as it is.")] = False,
    float16: Annotated[bool, typer.Option("--float16", help="Weights in float16.")] = False,
    dynamic: Annotated[bool, typer.Option("--dynamic", help="Large weights in int8, computed in float.")] = False,
    int16x8: Annotated[bool, typer.Option("--int16x8", help="Activations int16, weights int8: close to float32's answers.")] = False,
    mixed: Annotated[
        bool, typer.Option("--mixed", help="Int8 but for the fewest layers that keep the drop within --max-drop; takes minutes.")
    ] = False,
    max_drop: MixedMarginOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    model: ModelOption = None,
    data: DataOption = None,
    preprocess: PreprocessOption = None,
    logits: LogitsOption = False,
    epochs: EpochsOption = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Export artifacts, each audited and run on its runtimes before it is kept. Without flags: float32 and int8; "all": every format but mixed."""
    from benchmarks.parity import DEFAULT_MARGIN_PP
    from edgeproof.stages.exporting import export_formats
    from edgeproof.stages.judging import check_margin
    from edgeproof.stages.quantize import fold_baseline
    from export.formats import choose_formats

    flags = {"int8": int8, "int8-ptq": int8_ptq, "float32": float32, "float16": float16, "dynamic": dynamic, "int16x8": int16x8, "mixed": mixed}
    formats = choose_formats(family, [kind for kind, wanted in flags.items() if wanted])
    refuse_without_model(model, data=data, preprocess=preprocess, logits=logits, epochs=epochs, seed=seed)
    refuse_without("--mixed", mixed, **{"max-drop": max_drop})
    margin = DEFAULT_MARGIN_PP if max_drop is None else max_drop
    check_margin(margin)  # before minutes of work, not after
    place, console = open_workspace(workspace, as_json, verbose)
    if model is not None:
        _prepare(place, console, model, data, preprocess, logits, epochs, seed, formats)
    elif place.has("training.json") and not place.has("folded.json"):
        fold_baseline(place, console)  # takes seconds, and is all that most formats need
    exported = export_formats(place, console, formats, margin)
    console.give(exported)
    for name, facts in exported["artifacts"].items():
        share, runtimes = facts["audit"]["int8_weights_share"] or 0, " and ".join(facts["tried"])
        console.show(f"{place / 'artifacts' / name}: {facts['bytes'] / 1000:.1f} KB, {share:.0%} of weights int8, tried on {runtimes}.")
        for runtime, reason in facts["refused"].items():
            console.show(f"  will not load on {runtime}: {reason}")
    for name, reason in exported["failed"].items():
        console.show(f"{name} failed: {reason}")
    if exported["artifacts"]:
        console.show(f"Next: edgeproof parity{place.option}")
    return 1 if exported["failed"] else 0


def _prepare(
    place: Workspace,
    console: Console,
    model: Path,
    data: str | None,
    preprocess: str | None,
    logits: bool,
    epochs: int | None,
    seed: int,
    formats: Sequence[Format],
) -> None:
    """A user's model, taken as far as the formats need it."""
    from edgeproof.stages.quantize import fine_tune, fold_baseline, why_not_quantizable
    from export.formats import QAT

    trains = any(format.source == QAT for format in formats)
    console.say(f"Taking {model} as the baseline, then folding{' and fine-tuning' if trains else ''} it on {data or 'digits'}.")
    adopt_model(place, console, model, data, preprocess, logits, seed)
    fold_baseline(place, console)
    if trains and why_not_quantizable(place) is None:
        fine_tune(place, console, epochs=epochs)
