"""Places that can run a job. A new kind of device is one new file here."""

from __future__ import annotations

from pathlib import Path

from benchmarks.targets.address import SCHEME
from benchmarks.targets.base import Supply, Target
from benchmarks.targets.local import LocalTarget
from benchmarks.targets.simulated import SIMULATED, SimulatedTarget
from benchmarks.targets.ssh import SshTarget
from edge_runtime.errors import InputError, unknown_name
from edge_runtime.private_folder import boot_id


def find_target(name: str, supply: Supply | None = None, cache: Path | None = None) -> Target:
    """The target called `name`; InputError with the nearest name when there is none.

    supply, cache: what targets other than this machine need: bundles, and a folder for what is made once and kept.
    """
    if name == LocalTarget.name:
        return LocalTarget()
    if name not in SIMULATED and not name.startswith(SCHEME):
        raise unknown_name("target", name, [LocalTarget.name, *SIMULATED, SCHEME])
    if supply is None or cache is None:
        raise InputError(f"Only this machine can be used here, not {name}.")
    return SshTarget(name, supply) if name.startswith(SCHEME) else SimulatedTarget(SIMULATED[name], supply, cache)


def machine_of(target: Target) -> str:
    """What it computes on: two targets of one machine must not be timed at once."""
    return target.boot_id if isinstance(target, SshTarget) else boot_id()
