"""Places that can run a job. A new kind of device is one new file here."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.targets.base import Supply, Target
from benchmarks.targets.local import LocalTarget
from benchmarks.targets.ssh import SshTarget
from edge_runtime.errors import InputError, unknown_name
from edge_runtime.machine import Machine
from edge_runtime.private_folder import boot_id

# By name, or by the scheme of an address: makes the target of that name, which gets its bundles from the supply.
TARGETS: dict[str, Callable[[str, Supply], Target]] = {
    LocalTarget.name: lambda name, supply: LocalTarget(),
    "ssh://": SshTarget,
}


def no_supply(machine: Machine, runtime: str) -> Path:
    """Of those who only run jobs here."""
    raise InputError(f"There is no bundle of {runtime} for {machine.architecture}: this command only runs here.")


def find_target(name: str, supply: Supply = no_supply) -> Target:
    """The target called `name`; InputError with the nearest name when there is none."""
    scheme, separator, _ = name.partition("://")
    kind = scheme + separator
    if kind not in TARGETS:
        raise unknown_name("target", name, TARGETS)
    return TARGETS[kind](name, supply)


@contextlib.contextmanager
def opened(names: Sequence[str], supply: Supply, runtimes: Sequence[str], say: Callable[[str], None]) -> Iterator[list[Target]]:
    """The targets, ready for jobs with these runtimes; what was put elsewhere for that is gone afterwards."""
    building = threading.Lock()

    def one_at_a_time(machine: Machine, runtime: str) -> Path:  # two boards of one kind need one bundle
        with building:
            return supply(machine, runtime)

    targets = [find_target(name, one_at_a_time) for name in dict.fromkeys(names)]
    boards = [target for target in targets if isinstance(target, SshTarget)]
    with contextlib.ExitStack() as stack:
        for board in boards:
            stack.enter_context(board)
        with ThreadPoolExecutor(max(1, len(boards))) as pool:
            list(pool.map(lambda board: board.prepare(runtimes, say), boards))
        yield targets


def machine_of(target: Target) -> str:
    """What it computes on: two targets of one machine must not be timed at once."""
    return target.boot_id if isinstance(target, SshTarget) else boot_id()
