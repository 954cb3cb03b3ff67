"""The command line. Parses, calls a stage, prints, and gives the exit code; imports what a command needs only when it runs.

Exit codes: 0 done or PASS, 1 verdict FAIL or a failed format, 2 bad usage or bad input, 3 INCONCLUSIVE, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_runtime.errors import EdgeproofError
from edgeproof import __version__
from edgeproof.cli_export import export_app
from edgeproof.options import (
    DEFAULT_WORKSPACE,
    DataOption,
    EpochsOption,
    JsonOption,
    LogitsOption,
    MarginOption,
    ModelOption,
    PreprocessOption,
    RuntimeOption,
    SecondsOption,
    SeedOption,
    TargetOption,
    VerboseOption,
    WorkspaceOption,
    adopt_model,
    open_workspace,
    where,
)  # fmt: skip

if TYPE_CHECKING:
    from edgeproof.console import Console
    from edgeproof.workspace import Workspace

app = typer.Typer(
    name="edgeproof",
    help="Ship a Keras image classifier to the edge, with proof: train, fold, fine-tune for int8, export, prove parity, measure.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(export_app, name="export")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code. Users' mistakes become one line on stderr."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["TF_USE_LEGACY_KERAS"] = "1"  # tensorflow-model-optimization works on tf_keras only
    try:
        return int(app(args=arguments, prog_name="edgeproof", standalone_mode=False) or 0)
    except typer.TyperException as error:
        return _fail(error.format_message())
    except EdgeproofError as error:
        return _fail(str(error))
    except (KeyboardInterrupt, typer.Abort):
        print("\ninterrupted: finished stages are kept, nothing is half-written", file=sys.stderr)
        return 130


def _fail(message: str) -> int:
    if message:  # empty when help was shown instead
        print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return 2


def run_command(command: str) -> None:
    """`python -m <package> …` as `edgeproof <command> …`."""
    sys.exit(main([command, *sys.argv[1:]]))


def script() -> None:
    """The `edgeproof` program."""
    sys.exit(main())


@app.callback(invoke_without_command=True)
def _options(context: typer.Context, version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False) -> None:
    if version:
        print(f"edgeproof {__version__}")
        raise typer.Exit


@app.command()
def run(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    recipe: Annotated[str, typer.Option("--recipe", help="compact (small and fast) or seed.")] = "compact",
    model: ModelOption = None,
    data: DataOption = "digits",
    preprocess: PreprocessOption = None,
    logits: LogitsOption = False,
    epochs: EpochsOption = None,
    seed: SeedOption = 0,
    max_drop: MarginOption = 0.25,
    seconds: SecondsOption = 2.0,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Everything: train, fold, fine-tune, export, parity, latency, dashboard. Exits with the parity verdict."""
    from edgeproof import pipeline
    from edgeproof.stages.judging import exit_code

    place, console = open_workspace(workspace, as_json, verbose)
    options = pipeline.Options(recipe, model, data, preprocess, logits, epochs, seed, max_drop, seconds)
    outcome = pipeline.run(place, console, options)
    _show_summary(place, console, verdict=outcome.verdict, seconds=outcome.seconds, failed=outcome.failed)
    console.show(f"\nDashboard: {outcome.dashboard}")
    console.show(_next_commands(place, outcome.recommendation.artifact))
    return exit_code(outcome.verdict) or (1 if outcome.failed else 0)


@app.command()
def train(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    recipe: Annotated[str, typer.Option("--recipe", help="compact (small and fast) or seed.")] = "compact",
    data: DataOption = "digits",
    epochs: EpochsOption = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Train a baseline from a recipe."""
    from edgeproof.stages.baseline import train_baseline

    place, console = open_workspace(workspace, as_json, verbose)
    facts = train_baseline(place, console, recipe=recipe, source=data, epochs=epochs, seed=seed)
    console.give(facts)
    console.show(f"{recipe}: {facts['accuracy']:.2%} on the validation images, {facts['parameters']:,} parameters, best epoch {facts['best_epoch']}.")
    console.show(f"Figures: {place / 'figures'}. Next: edgeproof qat{where(place)}")
    return 0


@app.command()
def qat(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    epochs: EpochsOption = None,
    model: ModelOption = None,
    data: DataOption = "digits",
    preprocess: PreprocessOption = None,
    logits: LogitsOption = False,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Fold every BatchNorm away and fine-tune with fake quantization."""
    from edgeproof.stages.quantize import fold_and_fine_tune

    place, console = open_workspace(workspace, as_json, verbose)
    if model is not None:
        adopt_model(place, console, model, data, preprocess, logits, seed)
    facts = fold_and_fine_tune(place, console, epochs=epochs)
    console.give(facts)
    for step in facts["fold_steps"]:
        console.show(f"  {step}")
    console.show(f"Folded: answers differ by at most {facts['fold_difference']:.1e}. QAT model: {facts['accuracy']:.2%} on the validation images.")
    console.show(f"Next: edgeproof export all{where(place)}")
    return 0


@app.command()
def parity(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    max_drop: MarginOption = 0.25,
    on: TargetOption = ["local"],  # noqa: B006 - typer copies it
    runtime: RuntimeOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Judge every artifact against the baseline on the validation images, on every runtime. Exits with the verdict."""
    from edgeproof.stages.judging import exit_code, judge_parity

    place, console = open_workspace(workspace, as_json, verbose)
    report = judge_parity(place, console, margin_pp=max_drop, targets=on, runtimes=runtime or ())
    console.give(report.to_dict())
    _show_summary(place, console, verdict=report.verdict, give=False)
    console.show(f"Report: {place / 'parity.md'}, {place / 'parity.json'}, {place / 'parity.junit.xml'}. Next: edgeproof bench{where(place)}")
    return exit_code(report.verdict)


@app.command()
def bench(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    on: TargetOption = ["local"],  # noqa: B006 - typer copies it
    runtime: RuntimeOption = None,
    threads: Annotated[int, typer.Option("--threads", help="Threads of each interpreter.")] = 1,
    seconds: SecondsOption = 2.0,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Measure latency, interleaved: batch 1, real images, all artifacts and runtimes in turn."""
    from benchmarks.reports.terminal import latency_table
    from edgeproof.stages.benching import bench as measure

    place, console = open_workspace(workspace, as_json, verbose)
    results = measure(place, console, targets=on, runtimes=runtime or (), threads=threads, seconds=seconds)
    for result in results:
        console.give(dict(result.fields))
        console.show(latency_table(result))
    console.show(f"Microseconds of this machine: ratios travel, times do not. Next: edgeproof dashboard{where(place)}")
    return 0


@app.command()
def dashboard(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    open_page: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Write the dashboard: one HTML file that needs no network."""
    from edgeproof.stages.showing import build_dashboard

    place, console = open_workspace(workspace, as_json, verbose)
    page = build_dashboard(place, console)
    console.give({"dashboard": str(page)})
    console.show(f"Open {page} in a browser; it is one file and needs no network.")
    if open_page:
        typer.launch(page.resolve().as_uri())
    return 0


@app.command()
def predict(
    images: Annotated[list[Path] | None, typer.Argument(metavar="IMAGE…", help="PNG, JPEG, BMP, or NPY with uint8 pixels.")] = None,
    kaggle: Annotated[Path | None, typer.Option("--kaggle", help="Kaggle's test.csv instead of pictures.")] = None,
    out: Annotated[Path, typer.Option("--out", help="Where Kaggle's submission goes.")] = Path("submission.csv"),
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    model: Annotated[Path | None, typer.Option("--model", help="An exported .tflite or .onnx (default: the workspace's int8 one).")] = None,
    runtime: Annotated[str, typer.Option("--runtime", help="ai-edge-litert, tflite-runtime, onnxruntime, or auto.")] = "auto",
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Classify pictures with the exported model, or write a Kaggle submission."""
    from edgeproof.stages.predicting import load_classifier, predict_images, predict_kaggle

    if bool(images) == bool(kaggle):
        raise typer.BadParameter("give pictures, or --kaggle test.csv")
    place, console = open_workspace(workspace, as_json, verbose)
    classifier, name = load_classifier(place, model, runtime)
    if kaggle:
        count = predict_kaggle(classifier, kaggle, out, console)
        console.give({"submission": str(out), "images": count, "model": name})
        console.show(f"{out}: {count:,} answers by {name}.")
        return 0
    entries = predict_images(classifier, [str(image) for image in images or ()])
    console.give({"model": name, "predictions": entries})
    for entry in entries:
        console.show(f"{entry['image']}: {entry['label']} ({entry['probability']:.1%})")
    return 0


@app.command()
def doctor(as_json: JsonOption = False, verbose: VerboseOption = False) -> int:
    """What works on this machine, and what each missing part costs."""
    from edgeproof.console import Console
    from edgeproof.stages.diagnosing import examine

    console = Console(as_json=as_json, verbose=verbose)
    findings = examine()
    console.give({"findings": [vars(finding) for finding in findings]})
    for finding in findings:
        console.show(f"{'ok     ' if finding.works else 'missing'} {finding.subject}: {finding.detail}")
    return 0 if all(finding.works for finding in findings) else 1


def _show_summary(
    place: Workspace, console: Console, *, verdict: str, seconds: float | None = None, failed: dict[str, str] | None = None, give: bool = True
) -> None:
    from benchmarks.reports.terminal import summary_table
    from edgeproof.stages.showing import summary

    rows, recommendation = summary(place)
    if give:
        fields = {"verdict": verdict, "seconds": seconds, "ship": recommendation.artifact, "why": recommendation.sentence, "failed": failed or {}}
        console.give({**fields, "rows": [vars(row) for row in rows], "workspace": str(place.path)})
    console.show("")
    console.show(summary_table(rows))
    for row in rows:
        if row.verdict != "PASS":
            console.show(f"{row.format} on {row.runtime}: {row.verdict}: {row.reason}")
    for name, reason in (failed or {}).items():
        console.show(f"{name} failed: {reason}")
    took = f" in {seconds:.0f} s" if seconds else ""
    console.show(f"\nParity: {verdict}{took}. {recommendation.sentence}")


def _next_commands(place: Workspace, artifact: str | None) -> str:
    if artifact is None:
        return f"Next: read {place / 'parity.md'} for the hop that loses the answers."
    model = place / "artifacts" / artifact
    return f"Next: edgeproof predict picture.png{where(place)}\n      python -m edge_runtime classify picture.png --model {model}"
