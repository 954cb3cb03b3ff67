"""Options that several commands share, and what every command opens first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeproof.workspace import DEFAULT

if TYPE_CHECKING:
    from edgeproof.console import Console
    from edgeproof.workspace import Workspace

DEFAULT_WORKSPACE = Path(DEFAULT)

WorkspaceOption = Annotated[Path, typer.Option("--workspace", "-w", envvar="EDGEPROOF_WORKSPACE", help="Folder that keeps everything of one model.")]
ModelOption = Annotated[Path | None, typer.Option("--model", help="Your own tf_keras classifier (.keras or .h5) instead of a recipe.")]
DataOption = Annotated[
    str | None, typer.Option("--data", help="digits (default), a folder of class folders, a Kaggle train.csv, an .npz, an IDX file.")
]
PreprocessOption = Annotated[
    str | None,
    typer.Option("--preprocess", help="Pixel range --model takes: unit (0..1), signed (-1..1) or raw (0..255). Default: told by its first layer."),
]
LogitsOption = Annotated[bool, typer.Option("--logits", help="Export --model without its softmax; the runtime applies it.")]
EpochsOption = Annotated[int | None, typer.Option("--epochs", min=1, help="At most so many epochs (default: the recipe's).")]
SeedOption = Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1, help="Decides split, calibration images and training.")]
MarginOption = Annotated[float, typer.Option("--max-drop", metavar="PP", help="Margin of the verdict: largest acceptable drop in percentage points.")]
BaselineOption = Annotated[
    Path | None, typer.Option("--baseline", help="Judge exports that edgeproof did not make by this .keras, .h5, .tflite, .onnx, or frozen .npz.")
]
ExportOption = Annotated[list[Path] | None, typer.Option("--export", metavar="FILE…", help="A .tflite or .onnx to judge (several may follow).")]
HeldOutOption = Annotated[str | None, typer.Option("--data", help="With --baseline: the images to judge on, all of them; as for train, or digits.")]
AssumeOption = Annotated[
    str | None,
    typer.Option("--preprocess", help="Pixel range that files take which do not say: unit, signed or raw (default: as the baseline, else unit)."),
]
FurtherExports = Annotated[list[Path] | None, typer.Argument(metavar="FILE", help="Further exports, after --export FILE.", show_default=False)]
GivenMarginOption = Annotated[
    float | None,
    typer.Option(
        "--max-drop", metavar="PP", help="Margin of the verdict in percentage points (default: 0.25; the frozen one; with --rejudge, the last one)."
    ),
]
MixedMarginOption = Annotated[float | None, typer.Option("--max-drop", metavar="PP", help="With --mixed: largest drop allowed (default 0.25).")]
RejudgeOption = Annotated[bool, typer.Option("--rejudge", help="Judge the saved outputs again, without inference.")]
FreezeOption = Annotated[Path | None, typer.Option("--freeze", metavar="FILE.npz", help="Also write the baseline, without its images, for a CI run.")]
RuntimeOption = Annotated[list[str] | None, typer.Option("--runtime", help="Only this runtime (may be repeated).")]
KernelsOption = Annotated[
    list[str] | None,
    typer.Option("--kernels", help="Only default, builtin or reference kernels (may be repeated). Else all, and on simulated boards default."),
]
TargetOption = Annotated[
    list[str],
    typer.Option("--on", metavar="TARGET", help="Where to run: local, sim-pi3, sim-zero2, sim-pi4, sim-pi5, ssh://user@host:port (may be repeated)."),
]
SecondsOption = Annotated[float, typer.Option("--seconds", help="Least measuring time for each artifact and runtime.")]
PeersOption = Annotated[bool, typer.Option("--peers", help="Also measure what other tools make of the same baseline, in the same session.")]
ThreadsOption = Annotated[
    str, typer.Option("--threads", metavar="N,…", help="Threads of each interpreter; several (1,2,4) are measured in the same session.")
]
CompareOption = Annotated[
    Path | None,
    typer.Option("--compare", metavar="REF", help="Fail on what became slower: an earlier workspace, model, or result (file, or folder of them)."),
]
SlowdownOption = Annotated[
    float | None, typer.Option("--max-slowdown", metavar="PCT", help="With --compare: so many percent more (default: 2 of counts, 5 of times).")
]
RateOption = Annotated[
    float | None,
    typer.Option(
        "--rate",
        metavar="HZ",
        help="Pictures a second, asleep in between, as in a camera app, for --seconds, which hold 24 of them or more (default: no pause).",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, nothing else there.")]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Show what TensorFlow and the converters print.")]


def open_workspace(workspace: Path, as_json: bool, verbose: bool) -> tuple[Workspace, Console]:
    from edgeproof.console import Console
    from edgeproof.workspace import Workspace

    return Workspace(workspace), Console(as_json=as_json, verbose=verbose)


def refuse_without_model(model: Path | None, **options: object) -> None:
    """BadParameter for options that say something about --model when there is none: they would be ignored."""
    refuse_without("--model", model is not None, **options)


def refuse_without(needed: str, there: bool, **options: object) -> None:
    """BadParameter for options given without the one that they say something about."""
    given = [f"--{name}" for name, value in options.items() if value]
    if given and not there:
        raise typer.BadParameter(f"{' and '.join(given)} only {'mean' if len(given) > 1 else 'means'} something with {needed}")


def refuse_with(option: str, there: bool, **options: object) -> None:
    """BadParameter for options that contradict another."""
    given = [f"--{name}" for name, value in options.items() if value]
    if given and there:
        raise typer.BadParameter(f"{option} and {' and '.join(given)} exclude each other")


def adopt_model(place: Workspace, console: Console, model: Path, data: str | None, preprocess: str | None, logits: bool, seed: int = 0) -> None:
    """Make the user's model the workspace's baseline."""
    from edgeproof.stages.baseline import adopt_baseline

    adopt_baseline(place, console, model_path=model, source=data or "digits", preprocess=preprocess, logits=logits, seed=seed)
