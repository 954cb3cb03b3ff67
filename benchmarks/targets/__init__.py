"""Places that can run a job. A new kind of device is one new file here."""

from __future__ import annotations

from benchmarks.targets.base import Target
from benchmarks.targets.local import LocalTarget
from edge_runtime.errors import unknown_name

TARGETS: dict[str, type[LocalTarget]] = {LocalTarget.name: LocalTarget}


def find_target(name: str) -> Target:
    """The target called `name`; InputError with the nearest name when there is none."""
    if name not in TARGETS:
        raise unknown_name("target", name, TARGETS)
    return TARGETS[name]()
