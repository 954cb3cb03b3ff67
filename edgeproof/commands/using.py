"""Commands that use what was made: predict, doctor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgeproof.options import DEFAULT_WORKSPACE, JsonOption, VerboseOption, WorkspaceOption, open_workspace


def predict(
    images: Annotated[list[Path] | None, typer.Argument(metavar="IMAGE…", help="PNG, JPEG, BMP, or NPY with uint8 pixels.")] = None,
    kaggle: Annotated[Path | None, typer.Option("--kaggle", help="Kaggle's test.csv instead of pictures.")] = None,
    out: Annotated[Path, typer.Option("--out", help="Where Kaggle's submission goes.")] = Path("submission.csv"),
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    model: Annotated[Path | None, typer.Option("--model", help="An exported .tflite or .onnx (default: the one that parity recommends).")] = None,
    runtime: Annotated[str, typer.Option("--runtime", help="ai-edge-litert, tflite-runtime, onnxruntime, or auto.")] = "auto",
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Classify pictures with the exported model, or write a Kaggle submission."""
    from edgeproof.stages.predicting import load_classifier, predict_images, predict_kaggle

    if bool(images) == bool(kaggle):
        raise typer.BadParameter("give pictures, or --kaggle test.csv")
    place, console = open_workspace(workspace, as_json, verbose)
    with console.natives_silenced():
        classifier, name = load_classifier(place, console, model, runtime)
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


def doctor(
    on: Annotated[list[str] | None, typer.Option("--on", metavar="TARGET", help="Try every runtime there: sim-pi4, ssh://USER@HOST, …")] = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> int:
    """What works on this machine, which targets can be reached from here, and what each lacks."""
    from edgeproof.console import Console
    from edgeproof.stages.diagnosing import examine
    from edgeproof.stages.reaching import examine_targets, kinds_of_target

    console = Console(as_json=as_json, verbose=verbose)
    findings = examine_targets(on, console) if on else [*examine(), *kinds_of_target()]
    console.give({"findings": [vars(finding) for finding in findings]})
    for finding in findings:
        console.show(f"{'ok     ' if finding.works else 'missing'} {finding.subject}: {finding.detail}")
    return 0 if all(finding.works for finding in findings) else 1
