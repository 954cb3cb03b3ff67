"""One thread that holds the interpreter, which is not thread-safe, and a queue before it that can be full."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Task = TypeVar("Task")
Answer = TypeVar("Answer")


class Full(Exception):
    """There are as many tasks waiting as may wait."""


class InferenceQueue(Generic[Task, Answer]):
    """Tasks are answered by `work` in the order they came, by one thread."""

    def __init__(self, work: Callable[[Task], Answer], length: int) -> None:
        self._work = work
        self._tasks: queue.Queue[tuple[Task, asyncio.Future[Answer]]] = queue.Queue(length)
        threading.Thread(target=self._run, daemon=True).start()

    @property
    def waiting(self) -> int:
        return self._tasks.qsize()

    async def answer(self, task: Task) -> Answer:
        """Raises Full at once, or whatever `work` raises."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        try:
            self._tasks.put_nowait((task, future))
        except queue.Full:
            raise Full from None
        return await future

    def _run(self) -> None:
        while True:
            task, future = self._tasks.get()
            if future.cancelled():  # whoever asked has gone
                continue
            try:
                answer = self._work(task)
            except Exception as error:  # belongs to the one who asked
                _settle(future, future.set_exception, error)
            else:
                _settle(future, future.set_result, answer)


def _settle(future: asyncio.Future[Answer], settle: Callable[..., None], value: object) -> None:
    loop = future.get_loop()
    if not loop.is_closed():
        loop.call_soon_threadsafe(lambda: None if future.done() else settle(value))
