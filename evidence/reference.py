"""`python -m evidence.reference`: measure the reference run, write it to benchmarks/reference/, and README's tables and picture from it.

It takes finished workspaces of both recipes (that of `seed` only if it is there), without changing them: in a copy, it measures here, with peers
beside, and counts on every simulated board. `--only local`, `--only boards`: that part. `--only readme`: README from what is committed.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from benchmarks.counts import read_counts
from benchmarks.results import LatencyResult, read_result
from benchmarks.tables import BOARDS, DEFAULT, FOLDER, RECIPES, fill, read_references
from benchmarks.thinning import thin
from benchmarks.validity import INVALID
from edge_runtime.errors import EdgeproofError, InputError
from edgeproof.stages.peering import RECORD
from edgeproof.workspace import Workspace
from evidence.findings import ROOT, Places
from evidence.picture import PICTURE, take_picture
from export.formats import usual_formats
from export.peers import PEERS

README = ROOT / "README.md"
README_ALONE = "readme"  # of --only
KEPT_SAMPLES = 2048  # a row and scope: both recipes' files together stay below 600 KB, and a p99 needs 662
ATTEMPTS = 3  # at valid times, before a machine is called too busy
_USUAL = frozenset(format.name for format in usual_formats())  # as `edgeproof run` makes them: tables are long enough
_LEFT_BEHIND = ("latency", "outputs", "figures", "dashboard.html")
_NOT_IN_TABLES = ("hops", "agreement_matrix", "per_class", "flips", "layers", "suspects")


def main(arguments: list[str] | None = None) -> int:
    """0; 1 when a part could not be made, with the reason, and is left as it was; 2 when README's tables and picture could not."""
    options = _options(arguments)
    parts = [options.only] if options.only in PARTS else [] if options.only else PARTS
    places = Places(options.workspace, options.seed).workspaces
    kept = {recipe: Workspace(options.folder / RECIPES[recipe]) for recipe in places}
    made = [_try(part, recipe, workspace, kept[recipe], alone=bool(options.only)) for recipe, workspace in places.items() for part in parts]
    try:
        write_readme(options.readme, options.folder)
    except EdgeproofError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0 if all(made) else 1


def _try(part: str, recipe: str, workspace: Workspace, kept: Workspace, *, alone: bool) -> bool:
    """Whether a part of a recipe's reference was made, or is nobody's wish. alone: the other one stays as it is."""
    if recipe != DEFAULT and not workspace.has("parity.json"):
        print(f"{recipe}, {part}: left as it is, {workspace.path} holds no finished run", flush=True)
        return True
    begin = time.perf_counter()
    try:
        if alone:
            _check_same_training(workspace, kept)
        _make(part, workspace, kept)
    except EdgeproofError as error:
        print(f"{recipe}, {part}: left as it is: {error}", file=sys.stderr, flush=True)
        return False
    print(f"{recipe}, {part}: {time.perf_counter() - begin:.0f} s", flush=True)
    return True


def _options(arguments: list[str] | None) -> argparse.Namespace:
    places = Places()
    parser = argparse.ArgumentParser(prog="python -m evidence.reference", description=__doc__)
    parser.add_argument("--only", choices=[*PARTS, README_ALONE], help="this part only, of both recipes")
    parser.add_argument("-w", "--workspace", type=Path, default=places.compact, help="a finished run of recipe compact (default: %(default)s)")
    parser.add_argument("--seed", type=Path, default=places.seed, help="a finished run of recipe seed (default: %(default)s)")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the reference run is kept (default: benchmarks/reference)")
    parser.add_argument("--readme", type=Path, default=README, help="whose tables and picture are written (default: README.md)")
    return parser.parse_args(arguments)


def write_readme(readme: Path = README, folder: Path = FOLDER) -> None:
    """Write the tables of a Markdown file anew, and the picture that it shows. RuntimeMissingError without a browser: then the picture stays."""
    Workspace(readme.parent).write_text(readme.name, fill(readme.read_text(), read_references(folder)))
    print(f"Written: the tables of {readme}", flush=True)
    picture = readme.parent / PICTURE
    take_picture(picture, folder)
    print(f"Written: {picture}", flush=True)


def _check_same_training(workspace: Workspace, kept: Workspace) -> None:
    """InputError where the part that stays is of other files than those of the workspace: tables would mix two trainings."""
    if not kept.has("manifest.json"):
        return
    workspace.require("parity.json")
    now, former = (_digests(place.read_json(name)) for place, name in ((workspace, "artifacts/manifest.json"), (kept, "manifest.json")))
    if now != former:
        unlike = ", ".join(sorted(name for name in {**now, **former} if now.get(name) != former.get(name)))
        raise InputError(f"{kept.path} is of another training ({unlike} differ): make both parts, leave --only (ONLY) out.")


def _digests(manifest: Mapping[str, Any]) -> dict[str, str]:
    return {name: of["sha256"] for name, of in manifest["artifacts"].items() if of["format"] in _USUAL}


def _make(part: str, workspace: Workspace, kept: Workspace) -> None:
    """One part of a recipe's reference, from a copy of its workspace. What parity said goes along: tables show it beside the times."""
    with tempfile.TemporaryDirectory(prefix="edgeproof-reference-") as folder:
        copy = Workspace(Path(folder) / "workspace")
        for name in ("parity.json", "artifacts/manifest.json"):
            workspace.require(name)
        shutil.copytree(workspace.path, copy.path, ignore=shutil.ignore_patterns(*_LEFT_BEHIND))
        files = PARTS[part](copy)  # nothing is replaced before all of the part is there
    parity, listed = workspace.read_json("parity.json"), workspace.read_json("artifacts/manifest.json")["artifacts"]
    rows = [row for row in parity["rows"] if row["format"] in _USUAL]
    emptied = [name for name in _NOT_IN_TABLES if parity.get(name)]
    kept.write_json("parity.json", {**parity, "rows": rows, **dict.fromkeys(emptied, []), "left_out": emptied})
    kept.write_json("manifest.json", {"schema": 1, "artifacts": {name: _facts(of) for name, of in listed.items() if of["format"] in _USUAL}})
    for name, fields in files.items():
        kept.write_json(name, fields)


def _facts(artifact: Mapping[str, Any]) -> dict[str, Any]:
    audit = artifact.get("audit") or {}
    return {
        **{name: artifact[name] for name in ("format", "sha256", "bytes")},
        "audit": {name: audit.get(name) for name in ("macs", "int8_macs_share")},
    }


def _keep_formats(workspace: Workspace, formats: Collection[str]) -> None:
    """Leave out artifacts of other formats: whoever tried them all should not wait for them."""
    manifest = workspace.read_json("artifacts/manifest.json")
    artifacts = {name: facts for name, facts in manifest["artifacts"].items() if facts["format"] in formats}
    workspace.write_json("artifacts/manifest.json", {**manifest, "artifacts": artifacts})


def _bench(workspace: Workspace, *options: str) -> list[Path]:
    """`edgeproof bench` there; the result files it wrote. InputError with the command when it fails."""
    command = ["bench", "-w", str(workspace.path), *options]
    done = subprocess.run([sys.executable, "-P", "-m", "edgeproof", *command], stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise InputError(f"`edgeproof {' '.join(command)}` ended with exit code {done.returncode}: what it said stands above.")
    return sorted((workspace / "latency").glob("*Z.json"))


def _local(workspace: Workspace) -> dict[str, dict[str, Any]]:
    """local.json, with fewer samples, and peers.json. InputError where times are INVALID however often: a reference must not be.

    RuntimeMissingError where a peer's tool is not installed."""
    for peer in PEERS.values():
        peer.require_packages()  # a row "not made" would be of this machine, and not of the tool
    _keep_formats(workspace, _USUAL | {peer.ours for peer in PEERS.values()})  # each peer beside ours of its kind
    for _ in range(ATTEMPTS):
        result = read_result(_bench(workspace, "--peers")[-1])
        if not result.validity.startswith(INVALID):
            ours = LatencyResult({**result.fields, "rows": [row for row in result.fields["rows"] if not row["peer"]]})
            local = {**thin(ours, KEPT_SAMPLES), "left_out": ["peers' rows"]}
            return {"local.json": local, "peers.json": {**workspace.read_json(RECORD), "made": {}, "left_out": ["made"]}}
        print(f"Times are {result.validity}.", flush=True)
    raise InputError(f"Times were INVALID {ATTEMPTS} times: measure again on a quiet machine (--only local).")


def _boards(workspace: Workspace) -> dict[str, dict[str, Any]]:
    """One file a simulated board. InputError where nothing was predicted: the tables would have holes."""
    _keep_formats(workspace, _USUAL)
    results = [read_counts(path) for path in _bench(workspace, *(word for board in BOARDS for word in ("--on", board)))]
    for result in results:
        for row in result.rows:
            if row.predicted("invoke") is None:
                raise InputError(f"No time was predicted for {row.key[0]} on {result.target}: edgeproof doctor says what is missing.")
    return {f"{result.target}.json": dict(result.fields) for result in results}


PARTS: dict[str, Callable[[Workspace], dict[str, dict[str, Any]]]] = {"local": _local, "boards": _boards}


if __name__ == "__main__":
    sys.exit(main())
