"""Real wheels for tests, fetched once by pip and unpacked in the cache. A test that cannot have one is skipped, saying why."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest

CACHE = Path(os.environ.get("EDGEPROOF_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgeproof")


def unpacked_wheel(requirement: str, *platforms: str, python: str = "3.11") -> Path:
    """A folder with the contents of the wheel for those platforms (none: this machine's)."""
    options = [f"--platform={platform}" for platform in platforms]
    options += ["--implementation=cp", f"--python-version={python}"] if platforms else []
    name = hashlib.sha256(" ".join([requirement, *options, sys.version]).encode()).hexdigest()
    folder = CACHE / "test-wheels" / name
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as new:
            fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", *options, "-d", new, requirement]
            done = subprocess.run(fetch, capture_output=True, text=True)
            if done.returncode:
                pytest.skip(f"pip cannot fetch {requirement} for {' '.join(platforms) or 'this machine'}: {done.stderr.strip().splitlines()[-1]}")
            (wheel,) = Path(new).glob("*.whl")
            zipfile.ZipFile(wheel).extractall(Path(new) / "unpacked")
            (Path(new) / "unpacked").rename(folder)
    return folder
