"""Where to run: the targets a command names, with all that they need from the rest of edgeproof."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.targets import find_target
from benchmarks.targets.base import Target
from benchmarks.targets.simulated import SimulatedTarget
from edge_runtime.errors import EdgeproofError
from edgeproof.cache import cache_folder
from edgeproof.console import Console
from edgeproof.stages.bundling import supply


def open_targets(names: Iterable[str], console: Console) -> list[Target]:
    """The targets of these names; InputError for a name that is none."""
    return [find_target(name, supply(console), cache_folder()) for name in dict.fromkeys(names)]


def prepare_simulated(target: SimulatedTarget, runtimes: Iterable[str], console: Console) -> None:
    """Make what a simulated board needs before its jobs run side by side, showing how far it is. A runtime it cannot have is left to its rows."""
    target.require()
    with console.progress(f"System of {target.name}") as progress:
        target.system(progress)
    for runtime in dict.fromkeys(runtimes):
        try:
            target.packages(runtime)
        except EdgeproofError as error:
            console.say(f"{runtime} cannot be had for {target.name}: {error}")
