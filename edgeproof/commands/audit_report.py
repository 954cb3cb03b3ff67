"""What `edgeproof check` prints about one file: facts, operators, where it loads, and the verdict last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from edge_runtime.errors import some_of
from edgeproof.stages.checking import FileCheck
from export.audit import NO_ARITHMETIC, Audit, End
from export.claims import percent
from export.support import SYSTEMS, runtime_title, systems

if TYPE_CHECKING:
    from rich.table import Table

    from edgeproof.console import Console

_SHOWN_ISLANDS = 8
_FAMILIES = {"tflite": "TensorFlow Lite", "onnx": "ONNX"}


def show_check(check: FileCheck, console: Console) -> None:
    audit = check.audit
    console.show(f"{check.path.name}: {_FAMILIES[audit.family]}, {check.bytes / 1000:,.1f} KB")
    console.show(_facts_table(list(_facts(audit))))
    console.show("")
    console.show(_operators_table(audit))
    console.show("")
    console.show(_runtimes_table(check))
    console.show("")
    console.show(check.verdict)
    for name, reason in check.unmet.items():
        console.show(f"Required {name} does not hold: {reason}.")


def _facts(audit: Audit) -> Iterator[tuple[str, str]]:
    for title, ends in (("input", audit.inputs), ("output", audit.outputs)):
        for end in ends:
            yield title, _end(end) + (f", {audit.answers}" if end is audit.outputs[0] else "")
    if audit.macs is None:
        yield "int8", f"MACs not counted; {_share(audit.int8_weights_share)} of weight bytes"
    else:
        yield "int8", f"{_share(audit.int8_macs_share)} of {audit.macs:,} MACs, {_share(audit.int8_weights_share)} of weight bytes"
    if audit.per_channel or audit.per_tensor:
        yield "int8 weights", _scales(audit)
    if not audit.precision.startswith("float"):
        yield "float", some_of(audit.float_islands, _SHOWN_ISLANDS, "\n") or "nothing"
    if audit.rescales:
        yield "rescales", f"{audit.rescales} QUANTIZE from int8 to int8"
    if audit.min_runtime_version:
        yield "asks for", f"TensorFlow Lite {audit.min_runtime_version} (the file's own min_runtime_version)"
    if audit.family == "onnx":
        yield "asks for", f"opset {audit.opset}, IR version {audit.ir_version}"
        yield "in the file", ", ".join(f"{count} {kind}" for kind, count in sorted(audit.file_operators.items()))


def _end(end: End) -> str:
    quantization = f", scale {end.scale:.6g}, zero point {end.zero_point}" if end.scale is not None else ""
    return f"{end.dtype} {list(end.shape)}{quantization}".replace("'", "")


def _share(share: float | None) -> str:
    return "none" if share is None else percent(share)


def _scales(audit: Audit) -> str:
    parts = [f"per channel in {len(audit.per_channel)} operator(s)"] if audit.per_channel else []
    if audit.per_tensor:
        parts.append(f"per tensor in {len(audit.per_tensor)} ({', '.join(sorted({operator.kind for operator in audit.per_tensor}))})")
    return ", ".join(parts)


def _facts_table(facts: list[tuple[str, str]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    for title, text in facts:
        table.add_row(title, Text(text, overflow="fold"))  # Text: a stranger's layer names are no markup
    return table


def _operators_table(audit: Audit) -> Table:
    from rich.table import Table
    from rich.text import Text

    title = "operator" if audit.family == "tflite" or audit.refusal else "operator, after ONNX Runtime's optimization"
    table = Table(title, "version", "count", "computes in", "MACs", box=None, pad_edge=False, header_style="bold")
    for column in (1, 2, 4):
        table.columns[column].justify = "right"
    counts = Counter((operator.kind, operator.version, operator.dtype) for operator in audit.operators)
    for (kind, version, dtype), count in counts.items():
        macs = [operator.macs for operator in audit.operators if (operator.kind, operator.version, operator.dtype) == (kind, version, dtype)]
        cost = "?" if None in macs else f"{sum(filter(None, macs)):,}" if any(macs) else ""
        table.add_row(Text(kind), f"v{version}", str(count), "" if dtype == NO_ARITHMETIC else dtype, cost)
    return table


def _runtimes_table(check: FileCheck) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table("runtime", "loads", "on Raspberry Pi OS", box=None, pad_edge=False, header_style="bold")
    for runtime, answer in check.support.items():
        tried = f" (tried: {check.tried[runtime]})" if runtime in check.tried and answer.loads else ""
        places = ", ".join(SYSTEMS[name].title for name, able in systems(check.support).items() if runtime in able)
        table.add_row(
            runtime_title(runtime), "[green]yes[/]" if answer.loads else "[red]no[/]", Text(f"{places}{tried}" if answer.loads else answer.reason)
        )
    return table
