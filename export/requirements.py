"""What `edgeproof check --require` can demand of a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from edge_runtime.errors import InputError, some_of, unknown_name
from export.audit import Audit
from export.support import SYSTEMS, Support, systems

Found = Mapping[str, Support]
Requirement = Callable[[Audit, Found], str | None]  # why it does not hold; None when it does


def _int8(audit: Audit, found: Found) -> str | None:
    if audit.is_int8:
        return None
    return f"it is {audit.precision}" + (f": {some_of(audit.float_islands, 3)}" if audit.float_islands else "")


def _int8_io(audit: Audit, found: Found) -> str | None:
    return None if audit.has_int8_ends else f"it takes {audit.input_dtype} and gives {audit.output_dtype}"


def _per_channel(audit: Audit, found: Found) -> str | None:
    if audit.per_channel and not audit.per_tensor:
        return None
    if not audit.per_channel and not audit.per_tensor:
        return "it has no quantized weights"
    return "per tensor: " + some_of([f"{operator.kind} {operator.name}" for operator in audit.per_tensor], 3)


def _runtime(name: str) -> Requirement:
    def holds(audit: Audit, found: Found) -> str | None:
        if name not in found:
            return f"it does not read .{audit.family} files"
        return None if found[name].loads else found[name].reason

    return holds


def _system(name: str) -> Requirement:
    def holds(audit: Audit, found: Found) -> str | None:
        if systems(found)[name]:
            return None
        return f"Raspberry Pi OS {SYSTEMS[name].title} has wheels of {', '.join(SYSTEMS[name].runtimes)} only, and none of these loads it"

    return holds


REQUIREMENTS: dict[str, Requirement] = {
    "int8": _int8,
    "int8-io": _int8_io,
    "per-channel": _per_channel,
    **{name: _runtime(name) for name in ("ai-edge-litert", "tflite-runtime", "onnxruntime")},
    **{name: _system(name) for name, system in SYSTEMS.items() if system.runtimes},
}


def parse_requirements(given: Sequence[str]) -> list[str]:
    """Names from options such as "int8,tflite-runtime"; InputError for one that is empty or not known."""
    names = [name.strip() for option in given for name in option.split(",")]
    for name in names:
        if not name:  # an unset variable in a script: a gate that lets everything through
            raise InputError(f"--require {','.join(given)!r} leaves a requirement empty. Known: {', '.join(REQUIREMENTS)}.")
        if name not in REQUIREMENTS:
            raise unknown_name("requirement", name, REQUIREMENTS)
    return names


def unmet(names: Sequence[str], audit: Audit, found: Found) -> dict[str, str]:
    """Why each requirement that does not hold does not."""
    reasons = {name: REQUIREMENTS[name](audit, found) for name in names}
    return {name: reason for name, reason in reasons.items() if reason is not None}
