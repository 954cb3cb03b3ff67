"""Spoilt exports that no workspace knows: given to `parity --baseline … --export …` beside the Keras model that they were made from.

Ours, and what other tools make of the same baseline: in a Keras model as it was trained, BatchNorm and ReLU are layers of their own, which
converters fuse into the layer before, and call it by any of their names.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.parity import PASS, UNSUPPORTED, Report, Row
from edgeproof.console import Console
from edgeproof.stages.adopting import adopt
from edgeproof.stages.judging import judge_parity
from edgeproof.stages.peering import made_peers
from edgeproof.workspace import Workspace
from evidence.damaged import SCALED, Damage, Found, finding
from evidence.damaging import scale_weights, weighted_layers
from evidence.findings import Finding, Places

OURS = ("tflite-float32", "tflite-int8", "onnx-float32", "onnx-int8")
PEERS = ("tflite-ptq", "tflite-dynamic-range", "onnx-static", "onnx-static-u8s8")


def prove(places: Places) -> list[Finding]:
    command = places.command("damaged-strangers")
    return [one for name, workspace in places.workspaces.items() for one in _findings(name, workspace, command)]


def _findings(name: str, workspace: Workspace, command: str) -> Iterator[Finding]:
    with tempfile.TemporaryDirectory(prefix="edgeproof-") as folder:
        sound = dict(_exports(workspace, Path(folder)))
        report = _judged(workspace, sound, Path(folder) / "sound")
        rows = _able(report)
        passed = sum(row.verdict == PASS for _, row in rows)
        others = [f"{row.artifact} on {row.runtime}: {row.verdict}, {row.reason}" for _, row in rows if row.verdict != PASS]
        figure = "; ".join([f"{passed} of {len(rows)} rows PASS", *others])
        yield Finding(f"{name}: {len(sound)} strangers' exports as they are", "every row PASSes", figure, bool(passed) and not others, command)
        yield finding(f"{name}, strangers' exports", SCALED, list(_spoilt(workspace, sound, Path(folder) / "spoilt")), command)


def _exports(workspace: Workspace, folder: Path) -> Iterator[tuple[str, bytes]]:
    """(file name, content): ours, and what other tools make, those that are installed."""
    for name, facts in workspace.read_json("artifacts/manifest.json")["artifacts"].items():
        if facts["format"] in OURS:
            yield name, (workspace / f"artifacts/{name}").read_bytes()
    with made_peers(workspace, Console(), Workspace(folder)) as (made, _):
        for one in made:
            if one.peer.name in PEERS and one.record:
                yield one.path.name, one.path.read_bytes()


def _spoilt(workspace: Workspace, sound: Mapping[str, bytes], folder: Path) -> Iterator[Found]:
    layers = weighted_layers(workspace, "folded")
    damages = {
        f"{Path(name).stem}-{index}{Path(name).suffix}": Damage(SCALED, name, layer, partial(scale_weights, model, index))
        for name, model in sound.items()
        for index, layer in enumerate(layers)
    }
    report = _judged(workspace, {name: damage.make() for name, damage in damages.items()}, folder)
    named = {suspect["row"]: suspect["layer"] for suspect in report.suspects}
    for number, row in _able(report):
        damage = damages[row.artifact]
        yield Found(damage, damage.artifact, row.runtime, row.verdict, row.reason, named.get(number))


def _able(report: Report) -> list[tuple[int, Row]]:
    """Rows of runtimes that can load the file: what other tools make is not always for tflite-runtime 2.14."""
    return [(number, row) for number, row in enumerate(report.rows) if row.verdict != UNSUPPORTED]


def _judged(workspace: Workspace, exports: Mapping[str, bytes], folder: Path) -> Report:
    """What `edgeproof parity --baseline baseline.keras --export … --data held-out.npz` says of them."""
    folder.mkdir()
    for name, content in exports.items():
        (folder / name).write_bytes(content)
    validation = workspace.read_arrays("validation.npz")
    names = np.array(workspace.read_json("dataset.json")["class_names"])
    np.savez(folder / "held-out.npz", images=validation["images"], labels=validation["labels"], class_names=names)
    place, console = Workspace(folder / "runs"), Console()
    exported = [folder / name for name in exports]
    adopt(place, console, baseline=workspace / "baseline.keras", exports=exported, source=str(folder / "held-out.npz"), preprocess=None)
    return judge_parity(place, console, kernels=["default"])
