"""The model that a bundle brings along, in package `edge_bundle`."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_runtime.errors import InputError


@dataclass(frozen=True)
class Bundled:
    """The files of a bundle's model. `golden` is None for a model that edgeproof did not export."""

    model: Path
    golden: Path | None
    manifest: Mapping[str, Any]


def find_bundled() -> Bundled | None:
    """What the bundle that is running brings; None outside one, or when it brings no model. InputError when a file is not the one packed."""
    found = importlib.util.find_spec("edge_bundle")
    if found is None or found.origin is None:
        return None
    folder = Path(found.origin).parent
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        for name, digest in manifest["sha256"].items():
            if hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest:
                raise InputError(f"{name} is not the file that was packed into this bundle (its sha256 differs): copy the bundle here again.")
    except (OSError, ValueError) as error:
        raise InputError(f"This bundle is damaged ({error}): copy it here again.") from None
    golden = manifest["golden"]
    return Bundled(folder / manifest["model"], folder / golden if golden else None, manifest)
