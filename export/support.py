"""Which runtime loads a file, and on which Raspberry Pi OS that runtime is to be had. Told from the audit: nothing is executed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edge_runtime.errors import some_of
from export.audit import Audit
from export.operator_versions import CUSTOM, MEASURED, NEWEST, OLDEST

_FLEX = "Flex"  # how TensorFlow's own operators are called inside a .tflite


@dataclass(frozen=True)
class Support:
    """Whether a runtime loads a file. `reason` names the operator and version it lacks, and the remedy; empty where it loads."""

    loads: bool
    reason: str = ""


@dataclass(frozen=True)
class System:
    """A Raspberry Pi OS with its Python, and the runtimes that there are wheels of for both."""

    title: str
    python: str
    runtimes: tuple[str, ...]


SYSTEMS: dict[str, System] = {
    "bookworm": System("Bookworm 64-bit", "3.11", ("ai-edge-litert", "tflite-runtime", "onnxruntime")),
    "bookworm-32": System("Bookworm 32-bit", "3.11", ("tflite-runtime",)),
    "trixie": System("Trixie 64-bit", "3.13", ("ai-edge-litert", "onnxruntime")),
    "trixie-32": System("Trixie 32-bit", "3.13", ()),
    "zero": System("any, on Pi Zero and 1 (ARMv6)", "any", ()),
}


def support(audit: Audit) -> dict[str, Support]:
    """By runtime, those that read this kind of file: "ai-edge-litert" and "tflite-runtime", or "onnxruntime"."""
    if audit.family == "onnx":
        return {"onnxruntime": _onnx_support(audit)}
    return {runtime: _tflite_support(audit, runtime) for runtime in ("ai-edge-litert", "tflite-runtime")}


def systems(found: Mapping[str, Support]) -> dict[str, tuple[str, ...]]:
    """By operating system: the runtimes that are to be had there and load the file."""
    return {name: tuple(runtime for runtime in system.runtimes if runtime in found and found[runtime].loads) for name, system in SYSTEMS.items()}


def runtime_title(runtime: str) -> str:
    """ "tflite-runtime 2.14": the runtime with the version that was measured; ONNX Runtime is asked itself, and is the installed one."""
    if runtime in MEASURED:
        return f"{runtime} {MEASURED[runtime].removesuffix('.0')}"
    from importlib.metadata import version

    return f"{runtime} {version(runtime)}"


def _tflite_support(audit: Audit, runtime: str) -> Support:
    custom = [kind for kind in audit.custom_operators if kind not in CUSTOM]
    if custom:
        return Support(False, f"{some_of(custom, 3)}; remedy: {_custom_remedy(custom)}")
    missing = [(kind, version) for kind, version in audit.builtins if not _registers(runtime, kind, version)]
    if not missing:
        return Support(True)
    names = [f"{kind} v{version} (it has {_has(runtime, kind)})" for kind, version in missing]
    return Support(False, f"{some_of(names, 3)}; remedy: {_remedy(audit, runtime, missing)}")


def _registers(runtime: str, kind: str, version: int) -> bool:
    return OLDEST.get(kind, 1) <= version <= NEWEST[runtime].get(kind, 0)


def _has(runtime: str, kind: str) -> str:
    newest = NEWEST[runtime].get(kind, 0)
    return f"up to v{newest}" if newest else "none"


def _custom_remedy(custom: list[str]) -> str:
    if any(kind.startswith(_FLEX) for kind in custom):
        return "convert without SELECT_TF_OPS, replacing what TFLITE_BUILTINS lacks: no runtime's wheel has TensorFlow's own operators"
    return "replace the custom operator in the model, or build an interpreter that has it"


def _remedy(audit: Audit, runtime: str, missing: list[tuple[str, int]]) -> str:
    kinds = {kind for kind, _ in missing}
    if kinds == {"FULLY_CONNECTED"} and audit.is_dynamic_range:  # v12: int8 weights with a scale for each output, float activations
        return "export full int8, or dynamic-range with per-tensor Dense (edgeproof export tflite --dynamic)"
    others = [other for other in MEASURED if other != runtime and all(_registers(other, kind, version) for kind, version in missing)]
    converter = "convert it again with a TensorFlow of the runtime's age"
    return f"run it on {others[0]}, or {converter}" if others else converter


def _onnx_support(audit: Audit) -> Support:
    if audit.refusal is None:
        return Support(True)
    asked = f"it is opset {audit.opset}, IR version {audit.ir_version}"
    return Support(
        False, f"{audit.refusal} ({asked}); remedy: export it with an older opset (13 to 17 load everywhere), without operators of its own"
    )
