"""The one file for a board, with the model that ships."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.targets.address import SCHEME, Address
from benchmarks.targets.probing import probe
from edge_runtime.errors import InputError
from edge_runtime.machine import Machine, this_machine
from edgeproof.cache import cache_folder
from edgeproof.console import Console
from edgeproof.stages.bundling import version_here
from edgeproof.stages.packing import choose_payload, default_runtime_of, named_payload
from edgeproof.workspace import Workspace
from export import signing
from export.bundle import build_bundle
from export.packing import PASS, Payload, pack
from export.platforms import DEFAULT_SYSTEM, default_runtime, machine_of, refuse

LOCAL = "local"


@dataclass(frozen=True)
class Signing:
    """With which key, and whether the bundle runs nothing else then."""

    key: Path
    required: bool


@dataclass(frozen=True)
class Bundle:
    """A bundle that was built: the file, the machine it is for, its runtimes' versions by name, and what it brings along."""

    path: Path
    machine: Machine
    versions: Mapping[str, str]
    payload: Payload
    seconds: float


def bundle(
    workspace: Workspace,
    console: Console,
    *,
    board: str,
    system: str | None = None,
    runtimes: Sequence[str] = (),
    model: Path | None = None,
    output: Path | None = None,
    signing_with: Signing | None = None,
) -> Bundle:
    """Build the file for a board: a name in `export.platforms.BOARDS`, "local", or ssh://…, which is looked at. Needs no TensorFlow.

    Without `model` only what parity proved goes in; a file that is named goes in whatever is known of it, and that is said.
    """
    begin = time.perf_counter()
    machine = _machine(board, system)
    chosen = list(dict.fromkeys(runtimes)) or [default_runtime_of(model, default_runtime(machine))]
    refuse(machine, chosen)
    payload = named_payload(workspace, model, chosen) if model else choose_payload(workspace, console, chosen)
    if payload.verdict != PASS:
        if signing_with and signing_with.required:
            raise InputError(f"{payload.model} is {payload.verdict} on {chosen[0]}: a bundle with --require-signature would never run it.")
        console.say(f"WARNING: {payload.model} is {payload.verdict} on {chosen[0]}. It goes into the bundle because --model names it.")
    versions = {runtime: _judged_version(payload, runtime) or version_here(runtime) for runtime in chosen}
    path = output or workspace / f"bundles/{Path(payload.model).stem}-{_named(board, system)}.pyz"
    key = signing_with.key if signing_with else None
    content = pack(payload, machine, versions, key=key, required=bool(signing_with and signing_with.required))
    with console.progress(f"Bundle for {board}") as progress:
        build_bundle(machine, versions, path, cache=cache_folder(), content=content, progress=progress)
    signature = path.with_name(f"{path.name}.sig")
    signature.unlink(missing_ok=True)  # that of a former bundle
    if key:
        Workspace(path.parent).write_bytes(signature.name, signing.sign(path.read_bytes(), key))
    return Bundle(path, machine, versions, payload, time.perf_counter() - begin)


def _machine(board: str, system: str | None) -> Machine:
    if board == LOCAL or board.startswith(SCHEME):
        if system is not None:
            raise InputError(f"--os says nothing about {board}, which is looked at: leave it out.")
        if board == LOCAL:
            return this_machine()
        return probe(board)
    return machine_of(board, system or DEFAULT_SYSTEM)


def _named(board: str, system: str | None) -> str:
    """For the file's name: "pi4-bookworm", "local", or the address without what no file name should hold."""
    if board == LOCAL:
        return LOCAL
    if board.startswith(SCHEME):
        return re.sub(r"[^\w.-]+", "-", Address.parse(board).host)
    return f"{board}-{system or DEFAULT_SYSTEM}"


def _judged_version(payload: Payload, runtime: str) -> str | None:
    """The version whose answers were judged: the board gets that one."""
    return next((row["runtime_version"] for row in payload.rows if row["runtime"] == runtime and row["runtime_version"]), None)
