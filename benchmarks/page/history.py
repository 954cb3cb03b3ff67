"""How time and size went from commit to commit: latency/history.jsonl, packed for the page's script."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.history import HistoryLine
from benchmarks.page.subject import target_title

# The fields that are shown: (measure, unit). Measured and predicted times are series of their own.
_MEASURES = {
    "measured_predict_p50_us": ("measured median", "µs"),
    "predicted_predict_ms": ("predicted", "ms"),
    "instructions_predict": ("instructions", "M"),
}
_NAMES = ("commit", "artifact", "format", "runtime", "host")


def packed(lines: Sequence[HistoryLine]) -> list[dict[str, Any]]:
    """For each target and measure {target, title, measure, unit, names: {field: [text]}, rows: [[utc, numbers of commit, artifact, format,
    runtime and host among the names, bytes, value, low, high]]}, in the order of time: thousands of lines in little room. One thread only."""
    found = []
    for target in dict.fromkeys(line.target for line in lines):
        for field, (measure, unit) in _MEASURES.items():
            chosen = [line for line in lines if line.target == target and line.threads == 1 and getattr(line, field) is not None]
            if chosen:
                found.append({"target": target, "title": target_title(target), "measure": measure, "unit": unit, **_pack(chosen, field)})
    return found


def _pack(lines: Sequence[HistoryLine], field: str) -> dict[str, Any]:
    names: dict[str, dict[str, int]] = {name: {} for name in _NAMES}
    rows = []
    for line in lines:
        texts = {"commit": _commit(line), "artifact": line.artifact, "format": line.format, "runtime": line.runtime, "host": line.host or ""}
        numbers = [names[name].setdefault(texts[name], len(names[name])) for name in _NAMES]
        rows.append([line.utc, *numbers, line.bytes, *_values(line, field)])
    return {"names": {name: list(texts) for name, texts in names.items()}, "rows": rows}


def _commit(line: HistoryLine) -> str:
    return "" if line.commit is None else line.commit[:10] + (" with changes" if line.dirty else "")


def _values(line: HistoryLine, field: str) -> list[float]:
    """The value in its unit, and where it was predicted the ends of its interval."""
    value = getattr(line, field)
    if field == "predicted_predict_ms":
        return [value.ms, value.low_ms, value.high_ms]
    return [float(f"{value / 1e6 if field == 'instructions_predict' else value:.4g}")]
