"""One executable file for a board: edge_runtime, an interpreter, numpy and Pillow, and mostly a model. Only Python is needed there.

A shiv zipapp (it unpacks itself once, below $SHIV_ROOT) whose first code is ours: `board_start.py` looks whether this is the machine that
it was made for. The same inputs give the same bytes.
"""

from __future__ import annotations

import importlib.resources
import json
import os
import secrets
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.resources.abc import Traversable
from pathlib import Path

from edge_runtime.errors import InputError
from edge_runtime.machine import Machine
from edge_runtime.progress import Progress, silent
from export.platforms import least_glibc, pins, refuse
from export.wheels import fetch, unpack

ROOT = "~/.cache/edgeproof/bundles"  # where it unpacks without $SHIV_ROOT: the user's own
_ENTRY_POINT = "edge_runtime.__main__:main"
_START = {"edge_start.py": ("export", "board_start.py"), "edge_machine.py": ("edge_runtime", "machine.py")}


def build_bundle(
    machine: Machine,
    versions: Mapping[str, str],
    output: Path,
    *,
    cache: Path,
    content: Mapping[str, bytes] | None = None,
    progress: Progress = silent,
) -> Path:
    """Write the bundle for a machine to `output`, whole or not at all, and return its path.

    versions: of each runtime that goes in, by its name. content: the files of package `edge_bundle`, by name; without it the bundle serves
    a target, which brings its own model and opens no page.
    cache: the folder that keeps wheels; with all of them there, no network is needed.
    Raises InputError when there are no wheels for the machine, or they cannot be fetched.
    """
    refuse(machine, versions)
    wheels = fetch(pins(machine, versions, serves=content is not None), machine, cache, progress)
    with tempfile.TemporaryDirectory(prefix="edgeproof-bundle-") as staging, _whole(output) as file:
        for name, wheel in wheels.items():
            unpack(name, wheel, Path(staging))
        for name, data in {**runtime_files(), **_package(content or {})}.items():
            place = Path(staging) / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        wanted = {"architecture": machine.architecture, "python": machine.python, "glibc": least_glibc(machine, versions)}
        with ThreadPoolExecutor(1) as writer:  # Ctrl-C reaches the main thread alone: a zip file cannot be closed in the middle of an entry
            writer.submit(_archive, Path(staging), file, wanted).result()
    return output


def runtime_files() -> dict[str, bytes]:
    """edge_runtime as it is installed, by path below site-packages."""
    return dict(sorted(_files(importlib.resources.files("edge_runtime"), "edge_runtime")))


def start_files() -> dict[str, bytes]:
    """What a bundle runs before anything is unpacked, by name in the archive."""
    return {name: importlib.resources.files(package).joinpath(file).read_bytes() for name, (package, file) in _START.items()}


def recipe_files() -> dict[str, bytes]:
    """The code that decides what goes into a bundle: with another version of it, the same wheels can give another file."""
    return {name: importlib.resources.files("export").joinpath(name).read_bytes() for name in ("bundle.py", "platforms.py", "wheels.py")}


def _files(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir() and entry.name != "__pycache__":
            yield from _files(entry, f"{prefix}/{entry.name}")
        elif entry.is_file():
            yield f"{prefix}/{entry.name}", entry.read_bytes()


def _package(content: Mapping[str, bytes]) -> dict[str, bytes]:
    return {f"edge_bundle/{name}": data for name, data in content.items()}


def _archive(staging: Path, file: Path, wanted: Mapping[str, object]) -> None:
    """shiv's archive of the staged folder, with our start before its own."""
    from shiv import __version__, builder
    from shiv.bootstrap.environment import Environment
    from shiv.constants import BUILD_AT_TIMESTAMP_FORMAT, DEFAULT_SHEBANG, SOURCE_DATE_EPOCH_DEFAULT, SOURCE_DATE_EPOCH_ENV

    for place in staging.rglob("*"):
        place.chmod(0o755 if place.is_dir() else 0o644)  # modes go into the archive: not the umask's
    moment = time.gmtime(int(os.environ.get(SOURCE_DATE_EPOCH_ENV, SOURCE_DATE_EPOCH_DEFAULT)))
    settings = Environment(
        built_at=time.strftime(BUILD_AT_TIMESTAMP_FORMAT, moment),
        shiv_version=__version__,
        entry_point=_ENTRY_POINT,
        compile_pyc=False,  # of all modules, on a board's one slow core, for the few that are imported
        reproducible=True,
        root=ROOT,
    )
    builder.create_archive([staging], file, DEFAULT_SHEBANG, "edge_start:start", settings)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, data in sorted({**start_files(), "machine.json": json.dumps(wanted, sort_keys=True).encode()}.items()):
            entry = zipfile.ZipInfo(name, moment[:6])
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A file beside `path` that takes its place when all went well, and is gone otherwise."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
        try:
            yield beside
            beside.chmod(0o755)
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"Cannot write {path}: {error.strerror or error}.") from None
