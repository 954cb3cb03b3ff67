"""The same work on several targets, at once where they do not disturb one another."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from benchmarks.targets.base import Target
from edge_runtime.errors import EdgeproofError, TargetError
from edge_runtime.progress import Progress
from edgeproof.console import Console

T = TypeVar("T")


def on_all(
    targets: Sequence[Target],
    console: Console,
    title: str,
    work: Callable[[Target, Progress], T],
    *,
    apart: Callable[[Target], str] = lambda target: target.name,
) -> list[T]:
    """`work` on every target, in their order; at once, but for those that `apart` gives the same name.

    A target that fails does not stop the others: they end first, then its error is raised, and those of further ones are said.
    """
    groups: dict[str, list[int]] = {}
    for index, target in enumerate(targets):
        groups.setdefault(apart(target), []).append(index)
    done: dict[int, T] = {}
    failed: list[EdgeproofError] = []
    shares = [0.0] * len(targets)
    with console.progress(f"{title} on {', '.join(target.name for target in targets)}") as progress:
        stopping = threading.Event()

        def work_through(group: Sequence[int]) -> None:
            for index in group:
                try:
                    done[index] = work(targets[index], _share_of(progress, shares, index, stopping))
                except EdgeproofError as error:
                    failed.append(error)

        _run(work_through, list(groups.values()), stopping)
    for error in failed[1:]:
        console.say(f"error: {error}")
    if failed:
        raise failed[0]
    return [done[index] for index in range(len(targets))]


def _run(work_through: Callable[[Sequence[int]], None], groups: Sequence[Sequence[int]], stopping: threading.Event) -> None:
    """The first group in this thread, where Ctrl-C arrives; the others in threads of their own, which then stop as well."""
    with ThreadPoolExecutor(max(1, len(groups) - 1)) as pool:
        others: list[Future[None]] = [pool.submit(work_through, group) for group in groups[1:]]
        try:
            work_through(groups[0])
            for other in others:
                other.result()
        except BaseException:
            stopping.set()
            raise


def _share_of(progress: Progress, shares: list[float], index: int, stopping: threading.Event) -> Progress:
    """Progress of one target as part of all. Work is ended from inside it when all are to stop."""

    def tell(done: int, total: int, note: str) -> None:
        if stopping.is_set():
            raise TargetError("stopped with the others")
        shares[index] = done / max(total, 1)
        progress(int(1000 * sum(shares)), 1000 * len(shares), note)

    return tell
