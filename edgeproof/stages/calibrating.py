"""How well the calibrated and the learnt ranges hold on images that had no part in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from edgeproof.console import Console
from edgeproof.stages.project import Project
from edgeproof.stages.reference_layers import CHECKED_IMAGES
from edgeproof.workspace import Workspace
from export.calibration import Calibration, Saturation
from export.formats import FOLDED, QAT, Sources

_NOTEWORTHY = 0.01  # of a layer's values


def saturations(workspace: Workspace, project: Project, sources: Sources, calibration: Calibration) -> dict[str, Saturation]:
    """By the model that is quantized: the share of values that its ranges clip, on the first validation images."""
    from train.evaluate import layer_outputs
    from train.qat import INPUT, observed_ranges

    images = workspace.read_arrays("validation.npz")["images"][:CHECKED_IMAGES]
    quantized = {FOLDED: (sources.folded, observed_ranges(sources.folded, calibration.images, project.contract))}
    if sources.trained:
        quantized[QAT] = (sources.trained.float_twin, dict(sources.trained.ranges))
    return {
        source: Saturation.of({INPUT: project.contract.normalize(images), **layer_outputs(model, images, project.contract)}, ranges)
        for source, (model, ranges) in quantized.items()
    }


def report(console: Console, calibration: Calibration, found: dict[str, Saturation]) -> None:
    """One sentence a model; a layer that clips much is named, because accuracy is lost there."""
    console.say(f"Calibrated on {len(calibration.indices)} training images, none of them a validation image.")
    for source, saturation in found.items():
        if saturation.worst_share > _NOTEWORTHY:
            console.say(
                f"The {source} model's ranges clip {saturation.worst_share:.1%} of layer {saturation.worst_layer} on other images: "
                "calibrate on images like those the device will see."
            )


def facts(calibration: Calibration, found: dict[str, Saturation], former: Mapping[str, Any]) -> dict[str, Any]:
    """What the manifest holds of the calibration set; models that were not loaded this time keep what the `former` manifest says."""
    saturated = {source: asdict(saturation) for source, saturation in found.items()}
    return {**calibration.to_dict(), "saturated": {**former.get("calibration", {}).get("saturated", {}), **saturated}}
