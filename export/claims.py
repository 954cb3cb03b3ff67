"""What a file's name promises, what the file is, and the sentence that puts both together."""

from __future__ import annotations

import re
from collections.abc import Mapping

from edge_runtime.errors import some_of
from export.audit import Audit
from export.support import SYSTEMS, Support, runtime_title, systems

_SHOWN = 2  # islands that the sentence names

# Words in file names, the more particular first: "dynamic-int8" promises dynamic-range.
_CLAIMS = {
    "int16x8": "int16x8|16x8|int16",
    "mixed": "mixed",
    "dynamic-range": "dynamic|dynamic_range|dynamic_range_quant|drq",
    "int8": "int8|uint8|i8|full_integer_quant|integer_quant|w8a8",
    "float16": "float16|fp16|f16",
    "float32": "float32|fp32|f32",
}

_MEANING = {
    "int8 inside, float ends": "int8 inside with float ends",
    "dynamic-range": "dynamic-range (int8 weights, float activations)",
    "mixed": "mixed (part int8, part float)",
    "int16x8": "int16x8 (int16 activations, int8 weights)",
}

_REMEDIES = {
    ("tflite", "mixed"): "convert it with a representative dataset, and replace what stays float even so",
    ("tflite", "int8 inside, float ends"): "set the converter's inference_input_type and inference_output_type to int8",
    ("onnx", "mixed"): "quantize it with quantize_static, QDQ and per channel, from a float model",
    ("onnx", "dynamic-range"): "quantize it with quantize_static and calibration images",
}


def claimed(name: str) -> str | None:
    """The precision that a file's name promises; None when it promises none."""
    for precision, words in _CLAIMS.items():
        if re.search(rf"(?<![a-z0-9])(?:{words})(?![a-z0-9])", name.lower()):
            return precision
    return None


def verdict(name: str, audit: Audit, found: Mapping[str, Support]) -> str:
    """One sentence: named what, is what, how much of it, where it loads and where not, with remedies."""
    parts = [f"{_identity(claimed(name), audit)}: {_shares(audit)}"]
    if claimed(name) not in (None, audit.precision) and (remedy := _remedy(audit)):
        parts.append(f"remedy: {remedy}")
    parts += [f"will not load on {runtime_title(runtime)}: {answer.reason}" for runtime, answer in found.items() if not answer.loads]
    parts.append(_where(found))
    return f"{'; '.join(part for part in parts if part)}."


def _identity(claim: str | None, audit: Audit) -> str:
    meaning = _MEANING.get(audit.precision, audit.precision)
    if claim is None:
        return f"This is {meaning}"
    return f"Named {claim} and is {claim}" if claim == audit.precision else f"Named {claim}, but is {meaning}"


def _shares(audit: Audit) -> str:
    """How much is float and, where only part of it is, what; then the ends."""
    parts = []
    if audit.int8_macs_share is not None and (audit.float_islands or audit.is_int8_inside):
        share, type_ = (1 - audit.int8_macs_share, "float") if audit.float_islands else (audit.int8_macs_share, "int8")
        parts += [f"{percent(share)} of MACs {type_}"] if share else []
    if audit.precision == "mixed" or not parts:
        parts.append(_islands(audit))
    return ", ".join((*parts, f"{audit.input_dtype} in", f"{audit.output_dtype} out"))


def _islands(audit: Audit) -> str:
    islands = audit.float_islands
    named = f" ({some_of(islands, _SHOWN)})" if islands else ""
    return f"{len(islands) or 'none'} of {len(audit.operators)} operators float{named}"


def percent(share: float) -> str:
    """Rounded, but never up to all nor down to nothing."""
    bounded = share if share in (0.0, 1.0) else min(max(share, 0.01), 0.99)
    return f"{bounded * 100:.0f} %"


def _remedy(audit: Audit) -> str | None:
    return _REMEDIES.get((audit.family, audit.precision))


def _where(found: Mapping[str, Support]) -> str:
    loading = [runtime for runtime, answer in found.items() if answer.loads]
    if not loading:
        return "no runtime that edgeproof knows loads it"
    places = [SYSTEMS[name].title for name, able in systems(found).items() if able]
    return f"loads on {' and '.join(map(runtime_title, loading))} (Raspberry Pi OS {', '.join(places)})"
