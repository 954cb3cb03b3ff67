"""Result files that are damaged, another tool's, or newer: are they named and left out, without a traceback?"""

from __future__ import annotations

import copy
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.counts import read_counts
from benchmarks.history import append_history, history_lines, read_history
from benchmarks.results import read_result
from benchmarks.tables import FOLDER
from benchmarks.thinning import thin
from edge_runtime.errors import InputError
from edgeproof.workspace import Workspace
from evidence.findings import Finding, Places

ODD: tuple[Any, ...] = (None, "", "x", -1, 0, 2, 1e308, float("nan"), float("inf"), 10**30, True, [], {}, [[]], ["x"], {"x": 1}, "VALID", "2.3.0")
LATENCY: dict[str, Any] = thin(read_result(FOLDER / "local.json"), 200)
COUNTS: dict[str, Any] = json.loads((FOLDER / "sim-pi4.json").read_text())
FOREIGN: dict[str, bytes] = {
    "empty": b"",
    "truncated": json.dumps(COUNTS).encode()[:300],
    "noise": b"\x00\xff\xfe" * 100,
    "bracket after bracket": b"[" * 100_000,
    "a list": b"[1, 2, 3]",
    "another tool's": b'{"benchmarks": [{"name": "x", "stats": {"mean": 1.0}}], "version": "4.0"}',
    "newer": json.dumps({**COUNTS, "schema": 99}).encode(),
}
HISTORY_LINES = 2000
MOST_SECONDS = 0.2
_CUTS = 200
_SECONDS = 600


def fill(folder: Path, target: str) -> list[Path]:
    """Every foreign file under the name of a result of this target; and a folder, and a link to nothing, so named."""
    names = [folder / f"{target}-202601{day:02}T000000Z.json" for day in range(1, len(FOREIGN) + 3)]
    for path, content in zip(names, FOREIGN.values(), strict=False):
        path.write_bytes(content)
    names[-2].mkdir()
    names[-1].symlink_to(folder / "gone.json")
    return names


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something can be changed in JSON data."""
    inner = value.items() if isinstance(value, dict) else enumerate(value[:3]) if isinstance(value, list) else ()
    for key, child in inner:
        yield (*path, key)
        yield from places(child, (*path, key))


def changed(whole: dict[str, Any], path: tuple[Any, ...], value: Any, *, remove: bool = False) -> dict[str, Any]:
    """A copy with another value at that place, or none."""
    fields = copy.deepcopy(whole)
    place = fields
    for key in path[:-1]:
        place = place[key]
    if remove:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return fields


def damaged(whole: dict[str, Any]) -> Iterator[bytes]:
    """Every field of its first rows missing, and with each odd value; cut anywhere; with noise anywhere."""
    small = {**whole, "rows": whole["rows"][:2]}
    for path in places(small):
        yield json.dumps(changed(small, path, None, remove=True)).encode()
        yield from (json.dumps(changed(small, path, value)).encode() for value in ODD)
    text, chance = json.dumps(small).encode(), random.Random(0)
    for _ in range(_CUTS):
        at = chance.randrange(len(text))
        yield text[:at]
        yield text[:at] + chance.randbytes(20) + text[at + chance.randrange(40) :]


def prove(places: Places) -> list[Finding]:
    command = places.command("foreign")
    with tempfile.TemporaryDirectory(prefix="edgeproof-") as folder:
        return [
            _reading(Path(folder) / "result.json", command),
            _dashboard(places.workspaces["compact"], Path(folder), command),
            _history(Path(folder) / "history.jsonl", command),
        ]


def _reading(path: Path, command: str) -> Finding:
    kinds: list[tuple[dict[str, Any], Callable[[Path], Any]]] = [(LATENCY, read_result), (COUNTS, read_counts)]
    tried = refused = failed = 0
    for whole, read in kinds:
        for content in damaged(whole):
            path.write_bytes(content)
            tried += 1
            try:
                read(path)
            except InputError as error:
                refused += 1
                failed += "\n" in str(error)
            except Exception:  # what a user would see as a traceback is what is counted here
                failed += 1
    figure = (
        f"{tried:,} variants of a latency and a count result: {refused:,} refused in one line, {tried - refused - failed:,} read, {failed} otherwise"
    )
    return Finding("a damaged result is refused in one line, or read", "0 otherwise", figure, failed == 0, command)


def _dashboard(workspace: Workspace, folder: Path, command: str) -> Finding:
    shutil.copytree(workspace.path, folder / "w")
    names = fill(folder / "w/latency", "local")
    call = [sys.executable, "-P", "-m", "edgeproof", "dashboard", "-w", str(folder / "w")]
    done = subprocess.run(call, capture_output=True, text=True, timeout=_SECONDS, check=False)
    named = [sum(path.name in line for line in done.stderr.splitlines()) for path in names]
    met = done.returncode == 0 and named == [1] * len(names) and "Traceback" not in done.stderr
    figure = f"exit code {done.returncode}, {named.count(1)} of {len(names)} files named once"
    return Finding("the dashboard of a workspace with foreign files is made, and names each once", "exit code 0, all", figure, met, command)


def _history(path: Path, command: str) -> Finding:
    line = history_lines(read_result(FOLDER / "local.json"), "0" * 40, False)[0]
    append_history(path, [replace(line, commit=f"{number:040x}") for number in range(HISTORY_LINES)])
    begin = time.process_time()
    lines, _ = read_history(path)
    seconds = time.process_time() - begin
    met = len(lines) == HISTORY_LINES and seconds <= MOST_SECONDS
    return Finding(f"{HISTORY_LINES:,} lines of history are read", f"≤ {MOST_SECONDS:g} s", f"{seconds:.3f} s", met, command)
