"""The model that came along: in a bundle, package `edge_bundle` holds it with its golden vectors and a manifest."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_runtime.errors import InputError

PACKAGE = "edge_bundle"
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Bundled:
    """What `edge_bundle/manifest.json` names: {"model": file name, "golden": file name, "sha256": {file name: sum}, "runtime": name}.

    golden is None for a model that edgeproof did not export. assume: metadata for a model that carries none, as `Classifier` takes it.
    """

    model: Path
    golden: Path | None
    sha256: Mapping[str, str]
    runtime: str
    assume: Mapping[str, Any] | None


def find_bundled() -> Bundled | None:
    """The bundle's model; None outside a bundle, or in one without a model. InputError when its manifest cannot be used."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0])
    try:
        fields = json.loads((folder / MANIFEST).read_text())
        sums = {str(name): str(value) for name, value in fields["sha256"].items()}
        golden = folder / fields["golden"] if fields["golden"] else None
        return Bundled(folder / fields["model"], golden, sums, str(fields["runtime"]), fields.get("assume"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"The manifest of this bundle is damaged ({type(error).__name__}: {error}): copy the bundle again.") from None
