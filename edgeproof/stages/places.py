"""Where to run: the targets a command names, with all that they need from the rest of edgeproof."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.targets import find_target
from benchmarks.targets.base import Target
from benchmarks.targets.simulated import SimulatedTarget
from benchmarks.targets.ssh import SshTarget
from edge_runtime.errors import EdgeproofError
from edgeproof.cache import cache_folder
from edgeproof.console import Console
from edgeproof.stages.bundling import supply
from edgeproof.workspace import Workspace


def open_targets(names: Iterable[str], console: Console) -> list[Target]:
    """The targets of these names; InputError for a name that is none. Boards among them have still to be visited."""
    bundles = supply(console)
    return [find_target(name, bundles, cache_folder()) for name in dict.fromkeys(names)]


@contextlib.contextmanager
def visiting(targets: Sequence[Target], runtimes: Iterable[str], console: Console) -> Iterator[None]:
    """Reach the boards among the targets and make them ready for jobs with these runtimes; what was put there is gone afterwards."""
    boards = [target for target in targets if isinstance(target, SshTarget)]
    wanted = list(dict.fromkeys(runtimes))
    with contextlib.ExitStack() as stack:
        for board in boards:
            stack.enter_context(board)
        with ThreadPoolExecutor(max(1, len(boards))) as pool:
            list(pool.map(lambda board: board.prepare(wanted, console.say), boards))
        yield


def golden_file(workspace: Workspace) -> Path | None:
    """The golden vectors of the workspace's artifacts; None where exports are judged that edgeproof did not make."""
    golden = workspace.read_json("artifacts/manifest.json").get("golden")
    return workspace / f"artifacts/{golden['file']}" if golden else None


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
