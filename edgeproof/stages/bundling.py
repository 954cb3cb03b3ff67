"""Bundles: one file for a board, with the model that ships; or without one, for a target that brings its own."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from pathlib import Path

from benchmarks.targets.base import Supply
from edge_runtime.interpreter import find_runtime
from edge_runtime.machine import Machine
from edgeproof.cache import cache_folder
from edgeproof.console import Console
from export.bundle import build_bundle, recipe_files, runtime_files, start_files
from export.platforms import TESTED, pins, refuse


def supply(console: Console) -> Supply:
    """Gives targets their bundle: edge_runtime and one runtime for a machine, no model. Built once for the same content, then kept."""

    def bundle(machine: Machine, runtime: str) -> Path:
        refuse(machine, [runtime])
        versions = {runtime: version_here(runtime)}
        path = cache_folder() / "bundles" / _content_sha256(machine, versions) / f"edgeproof-{machine.architecture}-{runtime}.pyz"
        if not path.exists():
            with console.progress(f"Bundle with {runtime} for {machine.architecture}, Python {'.'.join(map(str, machine.python))}") as progress:
                build_bundle(machine, versions, path, cache=cache_folder(), progress=progress)
        return path

    return bundle


def version_here(runtime: str) -> str:
    """The version that is installed here, that parity judged; the tested one where it is not installed."""
    distribution = find_runtime(runtime).distribution
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return TESTED[runtime]


def _content_sha256(machine: Machine, versions: dict[str, str]) -> str:
    from shiv import __version__ as shiv_version

    facts = [list(machine), pins(machine, versions), shiv_version]
    digest = hashlib.sha256(json.dumps(facts).encode())
    for name, data in sorted({**runtime_files(), **start_files(), **recipe_files()}.items()):
        digest.update(name.encode() + b"\0" + hashlib.sha256(data).digest())
    return digest.hexdigest()
