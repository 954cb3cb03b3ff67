"""Bundles without a model, for targets that bring their own: built once for the same content, then kept."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import threading
from pathlib import Path

from benchmarks.targets.base import Supply
from benchmarks.targets.kept import used
from edge_runtime.interpreter import find_runtime
from edge_runtime.machine import Machine
from edgeproof.cache import cache_folder
from edgeproof.console import Console
from export.bundle import build_bundle, recipe_files, runtime_files, start_files
from export.platforms import TESTED, pins, refuse, title


def supply(console: Console) -> Supply:
    """Gives targets their bundle: edge_runtime and one runtime for a machine, no model. Built once for the same content, then kept."""
    one_at_a_time = threading.Lock()  # several boards may ask for the same file at once

    def supplied(machine: Machine, runtime: str) -> Path:
        refuse(machine, [runtime])
        versions = {runtime: version_here(runtime)}
        path = cache_folder() / "bundles" / _content_sha256(machine, versions) / f"edgeproof-{machine.architecture}-{runtime}.pyz"
        with one_at_a_time:
            if not path.exists():
                with console.progress(f"Bundle of {runtime} for {title(machine)}") as progress:
                    build_bundle(machine, versions, path, cache=cache_folder(), progress=progress)
            used(path.parent)
        return path

    return supplied


def version_here(runtime: str) -> str:
    """The version that is installed here, that parity judged; the tested one where it is not installed."""
    distribution = find_runtime(runtime).distribution
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return TESTED[runtime]


def _content_sha256(machine: Machine, versions: dict[str, str]) -> str:
    from shiv import __version__ as shiv_version

    facts = [list(machine), pins(machine, versions, serves=False), shiv_version]
    digest = hashlib.sha256(json.dumps(facts).encode())
    for name, data in sorted({**runtime_files(), **start_files(), **recipe_files()}.items()):
        digest.update(name.encode() + b"\0" + hashlib.sha256(data).digest())
    return digest.hexdigest()
