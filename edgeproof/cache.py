"""The folder that keeps what can be made or fetched again: wheels, bundles."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """$EDGEPROOF_CACHE, else edgeproof's folder below $XDG_CACHE_HOME or ~/.cache. It need not exist yet."""
    if chosen := os.environ.get("EDGEPROOF_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgeproof"
