"""Programs of the system that simulated boards need, and how to get them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence

from edge_runtime.errors import RuntimeMissingError, RuntimeProblem

# Debian's names of the packages.
PACKAGES: Mapping[str, str] = {"qemu-aarch64": "qemu-user", "gcc": "gcc", "apt-get": "apt", "dpkg-deb": "dpkg"}
_DEBIAN = "apt-get", "dpkg-deb"


def missing(programs: Iterable[str]) -> list[str]:
    """The packages of those that are not on PATH."""
    return [PACKAGES[program] for program in programs if shutil.which(program) is None]


def remedy(programs: Iterable[str]) -> str:
    """How to get those that are not on PATH. apt is not among the packages that one installs: it is Debian."""
    if any(shutil.which(program) is None for program in _DEBIAN):
        return "use a Debian 12 machine or container"
    return f"sudo apt-get install {' '.join(missing(programs))}"


def require(programs: Iterable[str], purpose: str) -> None:
    """RuntimeMissingError, one line that names all packages to install, when a program is not on PATH."""
    programs = tuple(programs)
    packages = missing(programs)
    if packages:
        raise RuntimeMissingError(f"{purpose} needs {' and '.join(packages)}, not installed here: {remedy(programs)}.")


def run(command: Sequence[str], purpose: str) -> str:
    """What a program prints; RuntimeProblem with its last line when it fails."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    if done.returncode:
        lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise RuntimeProblem(f"{purpose} failed: {lines[-1] if lines else f'{command[0]} ended with exit code {done.returncode}'}")
    return done.stdout
