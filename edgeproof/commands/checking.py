"""The command that needs no trust: check."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_runtime.errors import EdgeproofError, InputError
from edgeproof.options import JsonOption, VerboseOption

if TYPE_CHECKING:
    from edgeproof.console import Console

_KERAS = (".keras", ".h5")


def check(
    paths: Annotated[list[Path], typer.Argument(metavar="FILE…", help="A .tflite or .onnx (several may be given), a Keras file, or a workspace.")],
    require: Annotated[
        list[str] | None,
        typer.Option("--require", metavar="WHAT,…", help="Exit with 1 unless these hold: int8, int8-io, per-channel, a runtime, bookworm, trixie …"),
    ] = None,
    try_it: Annotated[bool, typer.Option("--try", help="Also open and run it once in every installed runtime.")] = False,
    reproducible: Annotated[bool, typer.Option("--reproducible", help="Workspace only: convert twice and compare the bytes.")] = False,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Say what a model file really is, anybody's, and where it will load; what becomes of a Keras model's layers; whether a workspace is whole."""
    from edgeproof.console import Console

    console = Console(as_json=as_json, verbose=verbose)
    special = [path for path in paths if path.is_dir() or path.suffix in _KERAS]
    if special and (len(paths) > 1 or require or try_it):
        raise typer.BadParameter(f"{special[0]} is checked alone, without --require and --try: those are for .tflite and .onnx files")
    if reproducible and not paths[0].is_dir():
        raise typer.BadParameter("--reproducible is for a workspace folder")
    if not special:
        return _check_files(paths, require or [], try_it, console)
    if special[0].is_dir():
        _refuse_other_folders(special[0])
        from edgeproof.stages.lineage import check_workspace
        from edgeproof.workspace import Workspace

        return check_workspace(Workspace(special[0]), console, reproducible=reproducible)
    from edgeproof.stages.foreseeing import check_keras

    return check_keras(special[0], console)


def _refuse_other_folders(folder: Path) -> None:
    if (folder / "saved_model.pb").exists():
        raise InputError(f"{folder} is a SavedModel: load it with tf_keras, save it as .keras, and check that, or check the .tflite made from it.")
    if not (folder / "training.json").exists():
        raise InputError(f"{folder} is no workspace: there is no training.json in it. `edgeproof run -w FOLDER` makes one.")


def _check_files(paths: list[Path], require: list[str], try_it: bool, console: Console) -> int:
    """The worst of the files' exit codes. One that cannot be read is not the end of the others."""
    from edgeproof.commands.audit_report import show_check
    from edgeproof.stages.checking import check_file
    from export.requirements import parse_requirements

    requirements = parse_requirements(require)
    code = 0
    entries: list[dict[str, Any]] = []
    for index, path in enumerate(paths):
        try:
            with console.natives_silenced():
                found = check_file(path, requirements, try_it=try_it)
        except EdgeproofError as error:
            if len(paths) == 1:
                raise
            console.say(f"error: {error}")
            entries.append({"file": str(path), "error": str(error)})
            code = 2
            continue
        if index:
            console.show("")
        show_check(found, console)
        entries.append(found.to_dict())
        code = max(code, 1 if found.unmet else 0)
    console.give({"files": entries})
    return code
