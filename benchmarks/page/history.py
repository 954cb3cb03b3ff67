"""How time and size went from commit to commit: latency/history.jsonl, packed for the page's script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.page.subject import target_title

# What a line may hold, by its field: (measure, unit). Measured and predicted ones are series of their own.
_MEASURES: dict[str, tuple[str, str]] = {
    "measured_predict_p50_us": ("measured median", "µs"),
    "predicted_predict_ms": ("predicted", "ms"),
    "instructions_predict": ("instructions", "M"),
}
_NAMES = ("commit", "artifact", "format", "runtime")


def packed(lines: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """For each target and measure {target, title, measure, unit, names: {field: [text]}, rows: [[utc, number of commit, artifact, format,
    runtime, dirty, bytes, value, low, high]]}, in the order of time: thousands of lines in little room."""
    found = []
    for target in dict.fromkeys(line["target"] for line in lines):
        for field, (measure, unit) in _MEASURES.items():
            chosen = [line for line in lines if line["target"] == target and line.get(field) is not None and line.get("threads", 1) == 1]
            if chosen:
                found.append({"target": target, "title": target_title(target), "measure": measure, "unit": unit, **_pack(chosen, field)})
    return found


def _pack(lines: Sequence[Mapping[str, Any]], field: str) -> dict[str, Any]:
    names: dict[str, dict[str, int]] = {name: {} for name in _NAMES}
    rows = []
    for line in sorted(lines, key=lambda line: line["utc"]):
        texts = {**line, "commit": (line.get("commit") or "")[:10]}
        numbers = [names[name].setdefault(texts[name], len(names[name])) for name in _NAMES]
        rows.append([line["utc"], *numbers, int(bool(line.get("dirty"))), line["bytes"], *_values(line[field], field)])
    return {"names": {name: list(texts) for name, texts in names.items()}, "rows": rows}


def _values(value: Any, field: str) -> list[float]:
    """The value in its unit, and where it was predicted the ends of its interval."""
    if field == "predicted_predict_ms":
        return [_short(value[name]) for name in ("ms", "low_ms", "high_ms")]
    return [_short(value / 1e6 if field == "instructions_predict" else value)]


def _short(value: float) -> float:
    return float(f"{value:.4g}")
