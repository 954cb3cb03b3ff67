"""The model that came along: in a bundle, folder `edge_bundle` beside this package holds it with its golden vectors and a manifest.

It is found by its place and not by its name: whatever else is called so on the search path is not the bundle's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from edge_runtime.errors import InputError

FOLDER = Path(__file__).parent.parent / "edge_bundle"
MANIFEST = "manifest.json"


class Bundled(NamedTuple):
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
    if not FOLDER.is_dir():
        return None
    try:
        fields = json.loads((FOLDER / MANIFEST).read_text())
        sums = {str(name): str(value) for name, value in fields["sha256"].items()}
        golden = FOLDER / fields["golden"] if fields["golden"] else None
        return Bundled(FOLDER / fields["model"], golden, sums, str(fields["runtime"]), fields.get("assume"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"The manifest of this bundle is damaged ({type(error).__name__}: {error}): copy the bundle again.") from None
