"""The tasks of a messenger: they end with it, and it ends with the first of them that fails.

A messenger whose store is full, or whose courier met a fault of ours, must not go on as if it sent
and heard: whoever uses it is interrupted, and gets the error.
"""

import asyncio
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Self

Spawn = Callable[[Coroutine[None, None, None]], asyncio.Task[None] | None]
"""Begins a task; None: all is ending, and what there is to do stays in the store."""


class Tasks:
    """Use as an asynchronous context manager; leaving it ends them all.

    Raises:
        Exception: on leaving, what the first task that failed raised. The body was cancelled then.
    """

    def __init__(self) -> None:
        self._group = asyncio.TaskGroup()
        self._running: set[asyncio.Task[None]] = set()
        self._closed = False

    def spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None] | None:
        """Begin one, as `Spawn`."""
        if self._closed:
            work.close()
            return None
        task = self._group.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        # The group takes no more tasks once one has failed.
        self._closed |= not task.cancelled() and task.exception() is not None

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closed = True
        for task in self._running:
            task.cancel()
        try:
            if kind is not None and issubclass(kind, asyncio.CancelledError):
                await self._group.__aexit__(kind, error, trace)
            else:  # what else the body raised is its own, and no failure of ours
                await self._group.__aexit__(None, None, None)
        except BaseExceptionGroup as failed:
            raise _first(failed) from error


def _first(failed: BaseExceptionGroup[BaseException]) -> BaseException:
    first = failed.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
