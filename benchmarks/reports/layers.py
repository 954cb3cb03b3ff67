"""Where a failing row loses its signal: the per-layer table of `parity.json`, put together row by row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.reports.wording import labels


@dataclass(frozen=True)
class Layer:
    """One layer's output against the model that the export was made from. Decibels; `saturated` is a share of values."""

    name: str
    snr_db: float | None
    fall_db: float | None  # against the layer before
    saturated: float | None
    suspect: bool

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """Layer, signal-to-noise ratio, fall and saturation as text."""
        return self.name, _decibels(self.snr_db), _decibels(self.fall_db), "" if self.saturated is None else f"{100 * self.saturated:.1f} %"


@dataclass(frozen=True)
class Diagnosis:
    """What is known of one row's failure. `layers` is empty where it could not be looked into."""

    row: int
    label: str
    verdict: str
    sentence: str
    layers: tuple[Layer, ...]


def diagnoses(parity: Mapping[str, Any]) -> list[Diagnosis]:
    """One a row that has a suspect or a per-layer table, in the report's order; reports made before there were any have none."""
    names, suspects = labels(parity), {entry["row"]: entry for entry in parity.get("suspects") or ()}
    tables: dict[int, list[Layer]] = {}
    for entry in parity.get("layers") or ():
        suspect = entry["layer"] == suspects.get(entry["row"], {}).get("layer")
        layer = Layer(entry["layer"], entry.get("snr_db"), entry.get("fall_db"), entry.get("saturated"), suspect)
        tables.setdefault(entry["row"], []).append(layer)
    return [
        Diagnosis(row, names[row], parity["rows"][row]["verdict"], suspects.get(row, {}).get("sentence", ""), tuple(tables.get(row, ())))
        for row in sorted({*suspects, *tables})
    ]


def _decibels(value: float | None) -> str:
    return "" if value is None else f"{value + 0.0:.1f} dB"
