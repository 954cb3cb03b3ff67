"""From the data to each file: what was made from what, by its hash."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def lineage(manifest: Mapping[str, Any], dataset: Mapping[str, Any], training: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(what, facts, sha256) from the data to each file; what an adopted workspace does not know is left out."""
    inputs, seed = manifest.get("inputs") or {}, training.get("seed")
    count, classes = dataset.get("images"), len(dataset.get("class_names") or ())
    calibration = (manifest.get("calibration") or {}).get("images")
    parameters = training.get("parameters")
    data = [f"{count:,} images" if isinstance(count, int) else "", f"{classes} classes" if classes else ""]
    facts = [f"{parameters:,} parameters" if parameters else "", f"seed {seed}" if seed is not None else ""]
    steps = [
        ("data", [dataset.get("source", ""), *data], dataset.get("sha256")),
        ("baseline", [training.get("name", ""), *facts], training.get("baseline_sha256")),
        ("folded", ["no BatchNorm left"], inputs.get("folded_sha256")),
        ("QAT model", ["quantization-aware fine-tuned"], inputs.get("qat_sha256")),
        ("calibration", [f"{calibration:,} training images" if calibration else ""], (manifest.get("calibration") or {}).get("sha256")),
    ]
    lines = [(name, ", ".join(filter(None, facts)), sha256 or "") for name, facts, sha256 in steps if sha256 or name in ("data", "baseline")]
    return lines + [(facts["format"], f"{name}, {facts['bytes']:,} bytes", facts["sha256"]) for name, facts in manifest["artifacts"].items()]
