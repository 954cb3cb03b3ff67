"""Folders that are made once and kept: a system, a plugin, unpacked packages."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_runtime.errors import InputError

UNUSED_SECONDS = 30 * 24 * 3600


def kept(folder: Path, made_from: Any, make: Callable[[Path], None]) -> Path:
    """The folder below `folder` that is named by the sha256 of what it is made from (anything JSON can hold); `make` fills it, if it is not there.

    It appears whole or not at all; of two processes that make it at once, one wins. InputError when it cannot be written.
    """
    path = folder / hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()
    if path.is_dir():
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=".new-", dir=folder))
        try:
            make(beside)
            if not path.is_dir():
                os.replace(beside, path)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    except OSError as error:
        if path.is_dir():  # another process was faster
            return path
        raise InputError(f"Cannot keep files in {folder} ({error.strerror or error}): name another folder in EDGEPROOF_CACHE.") from None
    return path


def used(entry: Path) -> Path:
    """Mark a folder of a cache as used now, remove those beside it that nobody used for 30 days, and return it."""
    with contextlib.suppress(OSError):  # a cache that others fill
        os.utime(entry)
    for other in entry.parent.iterdir():
        with contextlib.suppress(OSError):  # another process removed it
            if time.time() - other.stat().st_mtime > UNUSED_SECONDS:
                away = other.with_name(f".old-{other.name}")
                os.replace(other, away)  # at once: half an entry would be taken for a whole one
                shutil.rmtree(away, ignore_errors=True)
    return entry
