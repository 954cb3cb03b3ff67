"""Exports spoilt on purpose: does parity fail them, and name the layer that was spoilt?"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.layers import INPUT
from benchmarks.parity import FAIL
from edgeproof.console import Console
from edgeproof.stages.judging import judge_parity
from edgeproof.workspace import Workspace
from evidence.damaging import not_normalized, replace_artifact, scale_weights, weighted_layers, wrong_zero_point
from evidence.findings import Finding, Places

QUANTIZED = ("tflite-int8", "tflite-int8-ptq", "onnx-int8")  # have zero points to get wrong
SCALED, SHIFTED, RAW = "one layer's weights × 4", "one tensor's zero point moved to the end of its range", "inputs not normalized (0 to 255)"


@dataclass(frozen=True)
class Damage:
    """One way to spoil one artifact; `layer` is the Keras layer that it is done to."""

    kind: str
    artifact: str
    layer: str
    make: Callable[[], bytes]


@dataclass(frozen=True)
class Found:
    """What parity says of one damage on one runtime. `named` is the layer it suspects."""

    damage: Damage
    format: str
    runtime: str
    verdict: str
    reason: str
    named: str | None


def prove(places: Places) -> list[Finding]:
    command = places.command("damaged")
    return [finding for name, workspace in places.workspaces.items() for finding in findings(name, list(judged(workspace)), command)]


def damages(workspace: Workspace) -> Iterator[Damage]:
    """Every layer with weights, of every artifact. (What goes into an `.onnx` and what its last layer gives are floats: no zero points.)"""
    for name, facts in workspace.read_json("artifacts/manifest.json")["artifacts"].items():
        model = workspace.require(f"artifacts/{name}").read_bytes()
        layers, tflite = weighted_layers(workspace, facts["source"]), name.endswith(".tflite")
        for index, layer in enumerate(layers):
            yield Damage(SCALED, name, layer, partial(scale_weights, model, index))
            if facts["format"] in QUANTIZED and (tflite or layer != layers[-1]):
                yield Damage(SHIFTED, name, layer, partial(wrong_zero_point, model, index))
        if facts["format"] in QUANTIZED and tflite:
            yield Damage(SHIFTED, name, INPUT, partial(wrong_zero_point, model, None))
        yield Damage(RAW, name, INPUT, partial(not_normalized, model))


def judged(workspace: Workspace) -> Iterator[Found]:
    """Each damage put in its artifact's place in a copy of the workspace, and parity judged there."""
    console = Console()
    with tempfile.TemporaryDirectory(prefix="edgeproof-") as folder:
        for index, damage in enumerate(damages(workspace)):
            copy = Workspace(Path(folder) / str(index))
            shutil.copytree(workspace.path, copy.path, ignore=shutil.ignore_patterns("latency", "outputs", "figures"))
            replace_artifact(copy, damage.artifact, damage.make())
            report = judge_parity(copy, console, kernels=["default"])
            named = {suspect["row"]: suspect["layer"] for suspect in report.suspects}
            for number, row in enumerate(report.rows):
                yield Found(damage, row.format, row.runtime, row.verdict, row.reason, named.get(number))
            shutil.rmtree(copy.path)


def findings(name: str, found: list[Found], command: str) -> list[Finding]:
    """One for each kind of damage: every row of it fails, and names the spoilt layer."""
    return [finding(name, kind, [one for one in found if one.damage.kind == kind], command) for kind in (SCALED, SHIFTED, RAW)]


def finding(name: str, kind: str, found: list[Found], command: str) -> Finding:
    """That every one of these rows fails and names its spoilt layer."""
    failing = [one for one in found if one.verdict == FAIL]
    right = [one for one in failing if one.named == one.damage.layer]
    kept = [f"{_place(one)}: {one.verdict}, {one.reason}" for one in found if one not in failing]
    wrong = [f"{_place(one)}: {one.reason}" for one in failing if one not in right]
    return Finding(
        f"{name}: {kind} ({len({(one.damage.artifact, one.damage.layer) for one in found})} spoilt files)",
        "every row FAILs, and the layer named is the spoilt one",
        "; ".join(
            [
                f"{len(failing)} of {len(found)} rows FAIL; {len(right)} name the spoilt layer",
                *(f"not failed: {text}" for text in kept),
                *(f"wrongly named: {text}" for text in wrong),
            ]
        ),
        bool(found) and len(right) == len(found),
        command,
    )


def _place(one: Found) -> str:
    return f"{one.damage.layer} of {one.format} on {one.runtime}"
