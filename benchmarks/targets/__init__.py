"""Places that can run a job. A new kind of device is one new file here."""

from __future__ import annotations

from pathlib import Path

from benchmarks.targets.base import Supply, Target
from benchmarks.targets.local import LocalTarget
from benchmarks.targets.simulated import SIMULATED, SimulatedTarget
from edge_runtime.errors import InputError, unknown_name


def find_target(name: str, supply: Supply | None = None, cache: Path | None = None) -> Target:
    """The target called `name`; InputError with the nearest name when there is none.

    supply, cache: what targets other than this machine need: bundles, and a folder for what is made once and kept.
    """
    if name == LocalTarget.name:
        return LocalTarget()
    if name not in SIMULATED:
        raise unknown_name("target", name, [LocalTarget.name, *SIMULATED])
    if supply is None or cache is None:
        raise InputError(f"Only this machine can be used here, not {name}.")
    return SimulatedTarget(SIMULATED[name], supply, cache)
