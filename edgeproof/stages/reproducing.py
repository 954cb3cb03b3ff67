"""Do the same models still give the same bytes? Every artifact is converted twice, each time by a process that has converted nothing before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from edge_runtime.errors import RuntimeProblem
from edgeproof.console import Console
from edgeproof.stages.project import Project, versions
from edgeproof.workspace import Workspace
from export.formats import FORMATS


@dataclass(frozen=True)
class _Converted:
    """What one process made: contents by file name, and the formats that failed with their reasons."""

    made: dict[str, bytes]
    failed: dict[str, str]


def convert_twice(workspace: Workspace, console: Console) -> Iterator[tuple[bool | None, str]]:
    """(whether both conversions give the kept bytes, detail) of each artifact; None for one that no single conversion makes."""
    manifest = workspace.read_json("artifacts/manifest.json")
    formats = [facts["format"] for facts in manifest["artifacts"].values() if _is_ours(facts)]
    times: list[_Converted] = []
    with console.progress("Converting twice") as progress:
        for index in range(2 if formats else 0):
            progress(index, 2, "")
            times.append(_in_a_fresh_process(workspace, console, formats))
    for name, facts in manifest["artifacts"].items():
        if not _is_ours(facts):
            yield None, f"{name} was not made by a single conversion here"
            continue
        failed = [converted.failed[facts["format"]] for converted in times if facts["format"] in converted.failed]
        if failed:
            yield False, f"{name} cannot be converted any more: {failed[0]}"
        else:
            kept, contents = (workspace / "artifacts" / name).read_bytes(), [converted.made.get(name) for converted in times]
            yield _compare(name, kept, contents, manifest.get("versions", {}))


def _is_ours(facts: Mapping[str, Any]) -> bool:
    format = FORMATS.get(facts["format"])
    return format is not None and not format.searched and facts["source"] == format.source


def _compare(name: str, kept: bytes, contents: Sequence[bytes | None], made_with: Mapping[str, str]) -> tuple[bool, str]:
    first, second = contents
    if first != second:
        return False, f"two conversions of {name} give different bytes."
    if first != kept:
        return False, f"two conversions of {name} agree, but the kept file is another{_other_versions(made_with)}: export it again."
    return True, f"{name}, both times the {len(kept):,} bytes that were kept"


def _other_versions(made_with: Mapping[str, str]) -> str:
    here = versions()
    others = [f"{name} {version} (here {here.get(name, 'none')})" for name, version in made_with.items() if here.get(name) != version]
    return f", made with {', '.join(others)}" if others else ""


def _in_a_fresh_process(workspace: Workspace, console: Console, formats: list[str]) -> _Converted:
    """Not forked: a fork would inherit what TensorFlow and tf2onnx have counted so far."""
    with console.natives_silenced(), ProcessPoolExecutor(1, get_context("spawn")) as process:
        try:
            return process.submit(_convert, workspace.path.resolve(), formats, console.verbose).result()
        except BrokenProcessPool:
            raise RuntimeProblem("The process that converts ended by itself (out of memory?): try again with -v.") from None


def _convert(path: Path, names: list[str], verbose: bool) -> _Converted:
    """In the new process: what `edgeproof export` converts, neither tried nor kept."""
    from edgeproof.stages.converting import convert, load_sources, source_hashes
    from export.calibration import Calibration

    workspace, formats = Workspace(path), [FORMATS[name] for name in names]
    project = Project.of(workspace)
    dataset, split = project.load_data()
    calibration = Calibration.choose(dataset.images, split.calibration, split.validation)
    failed: dict[str, str] = {}
    console = Console(verbose=verbose)
    with console.natives_silenced():
        sources = load_sources(workspace, project, formats, calibration)
        made = convert(console, project, sources, formats, source_hashes(workspace, formats), failed)
    return _Converted({name: item.content for name, item in made.items()}, failed)
