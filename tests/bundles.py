"""Bundles for tests: built once a session for this machine, started as a board would, with nothing of this environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_runtime.machine import this_machine
from edgeproof.cache import cache_folder
from export.bundle import build_bundle
from export.platforms import TESTED

RUNTIME = "tflite-runtime"


@pytest.fixture(scope="session")
def bundle_here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle for this machine, without a model. Its wheels come from the user's cache, or are fetched into it."""
    path = tmp_path_factory.mktemp("bundle") / "here.pyz"
    return build_bundle(this_machine(), {RUNTIME: TESTED[RUNTIME]}, path, cache=cache_folder())


def start(bundle: Path, *arguments: str, root: Path, given: str = "", python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    """Run a bundle in an empty environment, unpacking below `root`. The base interpreter: this environment's packages are not on its path."""
    base = os.path.realpath(python)
    environment = {"PATH": "/usr/bin:/bin", "SHIV_ROOT": str(root), "HOME": str(root)}
    return subprocess.run([base, "-I", str(bundle), *arguments], input=given, env=environment, capture_output=True, text=True, timeout=120)
