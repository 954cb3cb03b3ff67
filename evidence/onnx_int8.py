"""Is our ONNX int8 int8, and as fast as what ONNX Runtime's own quantizer makes of the same network?"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.latency import Contestant, measure
from benchmarks.matrix import Artifact
from benchmarks.statistics import ratio_interval
from benchmarks.targets import find_target
from edge_runtime.timing import MIN_BLOCK_RUNS
from edgeproof.stages.project import Project
from edgeproof.workspace import Workspace
from evidence.findings import Finding, Places
from export.audit import audit
from export.to_onnx import Images

SLOWEST_TO_PEER, LEAST_SPEEDUP = 1.05, 1.6
SECONDS = 10.0  # of samples for each file
LINEAR = ("Conv", "Gemm", "MatMul")


def prove(places: Places) -> list[Finding]:
    command = places.command("onnx-int8")
    findings = []
    for name, workspace in places.workspaces.items():
        findings += [fused(name, workspace, command), *speed(name, workspace, command, SECONDS)]
    return findings


def fused(name: str, workspace: Workspace, command: str) -> Finding:
    """Counts the linear operators of the float file and those that ONNX Runtime runs in int8."""
    files = {artifact.format: artifact.path.read_bytes() for artifact in workspace.artifacts()}
    before = [operator.kind for operator in audit(files["onnx-float32"]).operators]
    found = audit(files["onnx-int8"])
    linear = sum(kind.removeprefix("Fused") in LINEAR for kind in before)
    int8 = sum(operator.kind in ("QLinearConv", "QGemm", "QLinearMatMul", "MatMulIntegerToFloat") for operator in found.operators)
    left = [operator.kind for operator in found.operators if operator.kind.removeprefix("Fused") in LINEAR]
    return Finding(
        f"{name}: every convolution and dense layer of onnx-int8 is fused into an int8 operator in ONNX Runtime",
        "all, and no float Conv, Gemm or MatMul left",
        f"{int8} of {linear}; float operators left: {', '.join(found.float_islands) or 'none'}",
        int8 >= linear > 0 and not left and found.is_int8,
        command,
    )


def speed(name: str, workspace: Workspace, command: str, seconds: float) -> list[Finding]:
    """Interleaved: rounds in random order, a block of each file in each round, ratios of the blocks' medians within a round."""
    ours = {artifact.format: artifact for artifact in workspace.artifacts() if artifact.format.startswith("onnx-")}
    images = workspace.read_arrays("validation.npz")["images"]
    with tempfile.TemporaryDirectory(prefix="edgeproof-") as folder:
        peers = [_quantize_static(workspace, ours["onnx-float32"], activations, Path(folder)) for activations in ("U8S8", "S8S8")]
        timed = measure([ours["onnx-float32"], ours["onnx-int8"], *peers], images, find_target("local"), seconds=seconds)
    by_format = {contestant.artifact.format: contestant for contestant in timed}
    int8 = by_format["onnx-int8"]
    findings = [_against(name, int8, by_format[peer.format], command) for peer in peers]
    ratio, low, high = _ratio(by_format["onnx-float32"], int8)
    if name == "seed":
        claim, target = f"{name}: onnx-int8 against its own onnx-float32", f"at least {LEAST_SPEEDUP} times faster"
        findings.append(Finding(claim, target, f"{ratio:.2f} times ({low:.2f} to {high:.2f}), {_blocks(int8)}", ratio >= LEAST_SPEEDUP, command))
    return findings


def _against(name: str, ours: Contestant, peer: Contestant, command: str) -> Finding:
    ratio, low, high = _ratio(ours, peer)
    return Finding(
        f"{name}: time of onnx-int8 against plain quantize_static, QDQ per channel, {peer.artifact.format}, same network and calibration images",
        f"≤ {SLOWEST_TO_PEER} times",
        f"{ratio:.3f} times ({low:.3f} to {high:.3f}), {_blocks(ours)}",
        ratio <= SLOWEST_TO_PEER,
        command,
    )


def _ratio(numerator: Contestant, denominator: Contestant) -> tuple[float, float, float]:
    top, bottom = (np.array([np.median(block) for block in contestant.invoke_ns]) for contestant in (numerator, denominator))
    return ratio_interval(top, bottom)


def _blocks(contestant: Contestant) -> str:
    return f"99 % interval, {len(contestant.invoke_ns)} rounds of blocks of at least {MIN_BLOCK_RUNS} runs"


def _quantize_static(workspace: Workspace, source: Artifact, activations: str, folder: Path) -> Artifact:
    """What the quantizer's manual says: prepare, calibrate, QDQ, per channel. `activations`: "U8S8" or "S8S8"."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared, target = folder / "prepared.onnx", folder / f"{activations}.onnx"
    quant_pre_process(str(source.path), str(prepared))
    quantize_static(
        str(prepared),
        str(target),
        Images(_calibration(workspace), _input_name(prepared)),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8 if activations == "U8S8" else QuantType.QInt8,
        weight_type=QuantType.QInt8,
    )
    content = target.read_bytes()
    return Artifact(target, activations, source.source, hashlib.sha256(content).hexdigest(), source.runtimes, len(content))


def _calibration(workspace: Workspace) -> np.ndarray:
    """float32 [N, H, W, C]: the images that the manifest names, through the workspace's preprocessing."""
    project = Project.of(workspace)
    dataset, _ = project.load_data()
    return project.contract.normalize(dataset.images[workspace.read_json("artifacts/manifest.json")["calibration"]["indices"]])


def _input_name(model: Path) -> str:
    import onnx

    return str(onnx.load(str(model)).graph.input[0].name)
